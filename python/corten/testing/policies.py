"""Pipelines in tests: without policies, with one attempt only, with a breaker in a given state."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from corten.events import BreakerState
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.pipeline.switches import switched


def no_policies(*pipelines: Pipeline) -> AbstractContextManager[None]:
    """Call guarded functions as if nothing guarded them: those of these pipelines, or all in the process.

    Also where the policies come from the settings of an App that has not started. Nothing is counted meanwhile, and
    limits, breakers and caches are afterwards as they were before.
    """
    return switched("no_policies", tuple(map(runtime_of, pipelines)))


def only_first_attempt(*pipelines: Pipeline) -> AbstractContextManager[None]:
    """Make each call once: no retry repeats it and no hedge doubles it; all other policies hold."""
    return switched("only_first_attempt", tuple(map(runtime_of, pipelines)))


@contextmanager
def breaker_state(pipeline: Pipeline, state: BreakerState, breaker: int = 0) -> Generator[None]:
    """Put one of a pipeline's breakers into a state; afterwards it is closed and has seen nothing.

    ``open`` ends after the policy's wait and ``half_open`` by its trials, as always; the others stay.

    :param breaker: which one, in the order of the policies
    :raises ValueError: there is no such breaker, or no such state
    """
    breakers = pipeline.breakers
    if not 0 <= breaker < len(breakers):
        raise ValueError(f"pipeline {pipeline.name!r} has {len(breakers)} circuit breakers, and none number {breaker}")
    control = breakers[breaker]
    control.core.set(state, runtime_of(pipeline).context.clock.core)
    try:
        yield
    finally:
        control.reset()
