"""Chaos in tests: allowed for a while."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.pipeline import Pipeline


@contextmanager
def allow_chaos(*pipelines: Pipeline) -> Generator[None]:
    """Let the chaos policies of these pipelines do harm inside the block, and none after it.

    The pipelines may stand alone or belong to an App, whatever its settings allow.
    """
    try:
        for each in pipelines:
            each.allow_chaos()
        yield
    finally:
        for each in pipelines:
            each.allow_chaos(False)
