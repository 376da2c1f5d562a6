"""The error of a call if all attempts fail."""

from __future__ import annotations

from collections.abc import Sequence

from corten.errors import described
from corten.pipeline.functions.traceback import trimmed


def noted(pipeline: str, first: Exception, others: Sequence[Exception]) -> Exception:
    """Note the other attempts' errors on the first, and trim its traceback."""
    notes: list[str] = getattr(first, "__notes__", [])
    for other in others:
        note = f"pipeline {pipeline!r}: an attempt beside it failed as well: {described(other)}"
        if note not in notes:  # an error that is raised repeatedly must not grow
            first.add_note(note)
            notes = first.__notes__
    return first.with_traceback(trimmed(first))
