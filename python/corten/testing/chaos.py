"""Chaos in tests: allowed for a while."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.pipeline import Pipeline


@contextmanager
def allow_chaos(*pipelines: Pipeline) -> Generator[None]:
    """Let the chaos policies of these pipelines do harm inside the block; after it they do as before.

    The pipelines may stand alone or belong to an App, whatever its settings allow.
    """
    before = [(each, each.chaos_allowed) for each in pipelines]
    try:
        for each in pipelines:
            each.allow_chaos()
        yield
    finally:
        for each, allowed in before:
            each.allow_chaos(allowed)
