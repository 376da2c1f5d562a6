"""Switches for pipelines in tests."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from corten.events import BreakerState
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.pipeline.switches import switched


def no_policies(*pipelines: Pipeline) -> AbstractContextManager[None]:
    """Call guarded functions of these pipelines, or of all, without policies.

    The App whose settings bring the policies need not have started. Nothing is counted meanwhile; limits, breakers
    and caches keep their state.
    """
    return switched("no_policies", tuple(map(runtime_of, pipelines)))


def only_first_attempt(*pipelines: Pipeline) -> AbstractContextManager[None]:
    """Make each call once, without retries and hedges; all other policies stay."""
    return switched("only_first_attempt", tuple(map(runtime_of, pipelines)))


@contextmanager
def breaker_state(pipeline: Pipeline, state: BreakerState, breaker: int = 0) -> Generator[None]:
    """Put a breaker into a state in the block; reset it afterwards.

    ``open`` ends after the policy's time and ``half_open`` after its half-open calls, as always; other states stay.

    :param breaker: its index in the order of the policies
    :raises ValueError: there is no such breaker, or no such state
    """
    breakers = pipeline.breakers
    if not 0 <= breaker < len(breakers):
        raise ValueError(f"pipeline {pipeline.name!r} has {len(breakers)} circuit breakers, and no number {breaker}")
    control = breakers[breaker]
    control.core.set(state, runtime_of(pipeline).context.clock.core)
    try:
        yield
    finally:
        control.reset()
