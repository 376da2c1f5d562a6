"""Chaos policies in tests."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.pipeline import Pipeline


@contextmanager
def allow_chaos(*pipelines: Pipeline) -> Generator[None]:
    """Allow the chaos policies of these pipelines inside the block.

    The pipelines may belong to an App, whose settings don't matter here.
    """
    before = [(each, each.chaos_allowed) for each in pipelines]
    try:
        for each in pipelines:
            each.allow_chaos()
        yield
    finally:
        for each, allowed in before:
            each.allow_chaos(allowed)
