"""Chaos does harm to calls where it is allowed, and is not even there where it is not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from corten.app import App
from corten.errors import ChaosError, CircuitOpen, CortenError, DeadlineExceeded
from corten.events import Events, FaultInjected
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.policies import Bulkhead, Cache, Chaos, CircuitBreaker, RateLimit, Retry, Timeout
from corten.policies.chaos import ChaosStatistics
from corten.testing import FakeClock, allow_chaos

pytestmark = pytest.mark.anyio

Make = Callable[..., Pipeline]


async def work(x: int = 1) -> int:
    return x


def compute(x: int = 1) -> int:
    return x


def wild(made: Pipeline) -> Pipeline:
    made.allow_chaos()
    return made


async def test_it_is_not_there_unless_it_is_allowed(pipeline: Make) -> None:
    guard = pipeline(Retry(initial_backoff=0), Chaos(error_rate=1))
    without = pipeline(Retry(initial_backoff=0))
    guarded = guard(work)
    assert await guarded() == 1
    assert guarded.__code__.co_code == without(work).__code__.co_code, "nothing of it is in the way"
    assert guard.statistics().chaos == ()
    guard.allow_chaos()
    with pytest.raises(ChaosError):
        await guarded()
    guard.allow_chaos(False)
    assert await guarded() == 1


async def test_policies_outside_of_it_meet_its_errors(pipeline: Make) -> None:
    guard = wild(
        pipeline(Retry(max_attempts=3, initial_backoff=0, jitter=0), CircuitBreaker(failures=3), Chaos(1, OSError))
    )
    calls = []

    @guard
    async def load() -> None:
        calls.append(1)

    with pytest.raises(OSError, match="injected by a chaos policy"):
        await load()
    with pytest.raises(CircuitOpen):
        await load()
    assert calls == []
    statistics = guard.statistics()
    assert statistics.chaos == (ChaosStatistics(calls=3, delayed=0, errors=3, results=0),)
    assert (statistics.errors, statistics.retries) == (1, 2)


async def test_its_own_error_may_pass(pipeline: Make) -> None:
    guarded = wild(pipeline(Retry(max_attempts=100, initial_backoff=0, jitter=0), Chaos(0.5, seed=3)))(work)
    for x in range(50):
        assert await guarded(x) == x


async def test_it_makes_calls_wait_and_a_time_limit_ends_them(pipeline: Make, clock: FakeClock) -> None:
    guarded = wild(pipeline(Timeout(5), Chaos(latency_rate=1, latency=3)))(work)
    began = clock.now()
    async with anyio.create_task_group() as group:
        group.start_soon(guarded)
        await clock.advance(10)
    assert clock.now() == pytest.approx(began + 10)
    guard = wild(pipeline(Timeout(2), Chaos(latency_rate=1, latency=3)))
    raised: list[Exception] = []

    async def call() -> None:
        try:
            await guard(work)()
        except DeadlineExceeded as error:
            raised.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await clock.advance(2)
    assert len(raised) == 1


async def test_it_returns_something_else(pipeline: Make) -> None:
    broken = object()
    guarded = wild(pipeline(Chaos(result_rate=1, result=broken)))(work)
    assert await guarded() is broken


async def test_it_harms_only_calls_for_its_keys(pipeline: Make) -> None:
    guard = wild(pipeline(Chaos(1, key="x", keys=(2, "b", [3]))))
    guarded = guard(work)
    for x in (1, "a", [4]):
        assert await guarded(x) == x  # type: ignore[arg-type]
    for x in (2, "b", [3]):
        with pytest.raises(ChaosError):
            await guarded(x)  # type: ignore[arg-type]
    assert guard.statistics().chaos[0].calls == 3
    with pytest.raises(ValueError, match="chaos chooses by 'x', which is no parameter of"):
        guard(lambda y: y)


def test_a_key_that_no_function_has_is_said_also_where_it_is_not_allowed(pipeline: Make) -> None:
    with pytest.raises(ValueError, match="chaos chooses by 'tenant'"):
        pipeline(Chaos(1, key="tenant", keys=(1,)))(work)


async def test_a_seed_makes_the_same_chaos_again(pipeline: Make) -> None:
    async def outcomes() -> list[Any]:
        guarded = wild(pipeline(Chaos(0.3, (OSError, KeyError), result_rate=0.3, result="else", seed=11)))(work)
        found: list[Any] = []
        for _ in range(50):
            try:
                found.append(await guarded())
            except (OSError, KeyError) as error:
                found.append(type(error))
        return found

    first = await outcomes()
    assert first == await outcomes()
    assert set(first) == {1, "else", OSError, KeyError}


def test_plain_functions_in_threads(pipeline: Make, clock: FakeClock) -> None:
    slow = wild(pipeline(Chaos(latency_rate=1, latency=3)))(compute)
    began = clock.now()
    assert slow(4) == 4
    assert clock.now() == began + 3
    with pytest.raises(ChaosError):
        wild(pipeline(Chaos(1)))(compute)()
    assert wild(pipeline(Chaos(result_rate=1, result=7)))(compute)() == 7


async def test_a_plain_function_does_not_stop_a_loop(pipeline: Make) -> None:
    with pytest.raises(CortenError, match="in the thread of an event loop"):
        wild(pipeline(Chaos(latency_rate=1)))(compute)()


async def test_each_injection_is_an_event(clock: FakeClock) -> None:
    events = Events()
    seen: list[FaultInjected] = []
    events.subscribe(seen.append, FaultInjected)
    guard = Pipeline("rates", Chaos(1, OSError))
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), events=events, chaos=True)
    guarded = guard(work)
    with pytest.raises(OSError, match="injected"):
        await guarded()
    guard.configure([Chaos(result_rate=1)])
    assert await guarded() is None
    assert seen == [
        FaultInjected(pipeline="rates", policy="chaos", fault="OSError: injected by a chaos policy"),
        FaultInjected(pipeline="rates", policy="chaos", fault="another result"),
    ]
    assert guard.statistics().chaos == (ChaosStatistics(calls=2, delayed=0, errors=1, results=1),), "it counts on"


async def test_it_is_loud_where_it_is_on_and_says_where_it_is_left_out(
    pipeline: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "corten.pipeline")
    guard = pipeline(
        Retry(),
        Chaos(0.05, (OSError, KeyError), latency_rate=0.1, latency=0.5, max_latency=2, key="x", keys=(1, 2)),
        name="rates",
    )
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", "pipeline 'rates': its chaos policy is left out: it is not allowed")
    ]
    caplog.clear()
    guard.allow_chaos()
    guard.allow_chaos()
    guard(work)
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        (
            "WARNING",
            "pipeline 'rates': chaos is on: of the calls where x is 1 or 2 5 % fail with OSError or KeyError, "
            "10 % wait 0.5 to 2 s",
        )
    ]
    caplog.clear()
    guard.configure([Chaos(result_rate=1)])
    assert "of the calls 100 % return None" in caplog.text


async def test_settings_allow_it(make_app: Callable[..., App[None]], caplog: pytest.LogCaptureFixture) -> None:
    for allowed in (False, True):
        app = make_app(
            arguments={"chaos.allowed": allowed, "pipelines.rates.policies": [{"policy": "chaos", "error_rate": 1}]}
        )
        guarded = app.pipeline("rates")(work)
        async with app:
            if allowed:
                with pytest.raises(ChaosError):
                    await guarded()
                assert "pipeline 'rates': chaos is on: of the calls 100 % fail with ChaosError" in caplog.text
            else:
                assert await guarded() == 1
                assert "chaos is on" not in caplog.text


async def test_a_test_may_allow_it_for_a_while(pipeline: Make) -> None:
    guard = pipeline(Chaos(1))
    guarded = guard(work)
    with allow_chaos(guard), pytest.raises(ChaosError):
        await guarded()
    assert await guarded() == 1


async def test_after_a_test_it_is_as_before(make_app: Callable[..., App[None]]) -> None:
    policies = [{"policy": "chaos", "error_rate": 1}]
    app = make_app(arguments={"chaos.allowed": True, "pipelines.rates.policies": policies})
    guarded = app.pipeline("rates")(work)
    async with app:
        with allow_chaos(*app.pipelines.values()):
            assert all(each.chaos_allowed for each in app.pipelines.values())
        with pytest.raises(ChaosError):
            await guarded()


async def test_a_cancelled_wait_leaks_nothing(pipeline: Make) -> None:
    guard = wild(pipeline(Bulkhead(1), Chaos(latency_rate=1)))
    guarded = guard(work)
    async with anyio.create_task_group() as group:
        group.start_soon(guarded)
        await anyio.wait_all_tasks_blocked()
        assert guard.statistics().bulkheads[0].running == 1
        group.cancel_scope.cancel()
    assert guard.statistics().bulkheads[0].running == 0


async def test_harm_further_inside_a_cache_is_not_kept(pipeline: Make) -> None:
    guard = pipeline(Cache(), RateLimit("1000/s", burst=10), Chaos(1))
    guarded = guard(work)
    guard.allow_chaos()
    with pytest.raises(ChaosError):
        await guarded()
    guard.allow_chaos(False)
    assert await guarded() == 1


def test_threads_share_its_decisions(pipeline: Make) -> None:
    guard = wild(pipeline(Chaos(0.5, result_rate=0.5, seed=1)))
    guarded = guard(compute)

    def many() -> None:
        for _ in range(200):
            with suppress(ChaosError):
                guarded()

    threads = [threading.Thread(target=many) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    (seen,) = guard.statistics().chaos
    assert seen.calls == seen.errors + seen.results == 800
