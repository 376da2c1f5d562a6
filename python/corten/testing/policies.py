"""Pipelines in tests: without policies, or with one attempt only."""

from __future__ import annotations

from contextlib import AbstractContextManager

from corten.pipeline import Pipeline
from corten.pipeline.switches import switched


def no_policies(*pipelines: Pipeline) -> AbstractContextManager[None]:
    """Call guarded functions as if nothing guarded them: those of these pipelines, or all in the process.

    Also where the policies come from the settings of an App that has not started. Nothing is counted meanwhile, and
    limits, breakers and caches are afterwards as they were before.
    """
    return switched("no_policies", pipelines, Pipeline.follow_switches)


def only_first_attempt(*pipelines: Pipeline) -> AbstractContextManager[None]:
    """Make each call once: no retry repeats it and no hedge doubles it; all other policies hold."""
    return switched("only_first_attempt", pipelines, Pipeline.follow_switches)
