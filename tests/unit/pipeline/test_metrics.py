"""What policies hold is in the metrics, read when a snapshot is taken."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from corten.errors import BulkheadFull, RateLimited
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.policies import Bulkhead, CircuitBreaker, RateLimit
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


async def test_refusals_are_told_apart_by_policy(pipeline: Callable[..., Pipeline], registry: Registry) -> None:
    guard = pipeline(RateLimit("1/s", burst=2), Bulkhead(1), name="users")

    @guard
    async def call() -> None:
        await other()

    @guard
    async def other() -> None: ...

    with pytest.raises(BulkheadFull):
        await call()
    with pytest.raises(RateLimited):
        await other()
    text = registry.render()
    assert 'corten_pipeline_refused_total{pipeline="users",policy="rate_limit"} 1' in text
    assert 'corten_pipeline_refused_total{pipeline="users",policy="bulkhead"} ' in text
    assert 'corten_bulkhead_max_concurrent{pipeline="users"} 1' in text
    assert 'corten_bulkhead_running{pipeline="users"} 0' in text


async def test_a_breaker_shows_its_state(pipeline: Callable[..., Pipeline], registry: Registry) -> None:
    @pipeline(CircuitBreaker(failures=1, open_for=30), name="users")
    async def fail() -> None:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await fail()
    text = registry.render()
    assert 'corten_circuit_breaker_state{pipeline="users",state="open"} 1' in text
    assert 'corten_circuit_breaker_state{pipeline="users",state="closed"} 0' in text
    assert 'corten_circuit_breaker_opened_total{pipeline="users"} 1' in text


def test_several_of_a_kind_are_told_apart_by_their_place(pipeline: Callable[..., Pipeline], registry: Registry) -> None:
    guard = pipeline(Bulkhead(7), Bulkhead(3), name="users")
    text = registry.render()
    assert 'corten_bulkhead_max_concurrent{pipeline="users",place="0"} 7' in text
    assert 'corten_bulkhead_max_concurrent{pipeline="users",place="1"} 3' in text
    assert len(guard.bulkheads) == 2


def test_a_pipeline_that_is_gone_is_not_shown(clock: FakeClock, registry: Registry) -> None:
    guard = Pipeline("users", Bulkhead(7), registry=registry, clock=clock)
    assert "corten_bulkhead_running" in registry.render()
    del guard
    gc.collect()
    assert "corten_bulkhead_running" not in registry.render()


def test_a_pipeline_that_an_app_took_is_shown_by_its_registry_alone(clock: FakeClock, registry: Registry) -> None:
    guard, other = Pipeline("users", Bulkhead(7), registry=registry, clock=clock), Registry()
    runtime_of(guard).bind(owner=object(), clock=clock, registry=other)
    assert "corten_bulkhead_running" not in registry.render()
    assert 'corten_bulkhead_max_concurrent{pipeline="users"} 7' in other.render()


def test_two_pipelines_of_one_name_do_not_spoil_the_page(clock: FakeClock, registry: Registry) -> None:
    both = [Pipeline("users", Bulkhead(size), registry=registry, clock=clock) for size in (1, 2)]
    text = registry.render()
    assert text.count('corten_bulkhead_max_concurrent{pipeline="users"}') == 1
    assert len(both) == 2
