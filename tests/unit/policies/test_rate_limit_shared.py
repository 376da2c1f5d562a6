"""A limit that processes share: asked of a backend, counted here where that is away, refused as any other."""

from __future__ import annotations

import logging
import warnings
from collections.abc import AsyncGenerator, Callable
from datetime import date
from typing import Any

import anyio
import pytest

from corten import RateLimit
from corten.errors import RateLimited, ResourceUnavailable
from corten.events import CallDegraded, CallRefused, Event, Events
from corten.pipeline import Pipeline
from corten.pipeline.layers.key_text import key_text
from corten.pipeline.pipeline import runtime_of
from corten.policies import Cache, Retry, Timeout
from corten.rate_limit import SharedLimit, TokenBucket, Verdict
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


class Backend:
    """Token buckets by name, in memory."""

    name = "memory"

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.buckets: dict[str, TokenBucket] = {}
        self.limits: list[SharedLimit] = []
        self.away = False

    async def reserve(self, key: str, limit: SharedLimit, n: int, max_wait: float) -> Verdict:
        await anyio.lowlevel.checkpoint()
        if self.away:
            raise ResourceUnavailable("memory is away")
        self.limits.append(limit)
        bucket = self.buckets.setdefault(key, TokenBucket(limit.rate, limit.burst, self.clock))
        granted, seconds, _ = bucket.reserve(n, max_wait)
        return Verdict(granted, seconds)


@pytest.fixture
def backend(clock: FakeClock) -> Backend:
    return Backend(clock)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def shared(
    clock: FakeClock, backend: Backend, events: Events, pipeline: Callable[..., Pipeline]
) -> Callable[..., Pipeline]:
    """Make pipelines as in an App with a backend."""

    def make(*policies: Any, name: str = "p") -> Pipeline:
        made = pipeline(*policies, name=name)
        runtime_of(made).bind(
            owner=backend, clock=clock, registry=runtime_of(made).registry, limiters=[backend], events=events
        )
        return made

    return make


async def test_pipelines_of_two_processes_take_from_one_limit(
    shared: Callable[..., Pipeline], backend: Backend
) -> None:
    here, there = (shared(RateLimit("3/h", key="user", cost="n", shared=True), name="users") for _ in range(2))

    async def call(user: str, n: int = 1) -> str:
        return user

    assert await here(call)("ann", 2) == "ann"
    assert await there(call)("ann") == "ann"
    with pytest.raises(RateLimited, match="pipeline 'users': rate_limit refused the call: no token is left") as caught:
        await there(call)("ann")
    assert (caught.value.retry_after or 0) > 1_000
    assert await there(call)("bob", n=3) == "bob"
    with pytest.raises(RateLimited, match="costs more tokens than the limit ever holds"):
        await here(call)("eve", 4)
    assert list(backend.buckets) == ['rate_limit:users:0:"ann"', 'rate_limit:users:0:"bob"']
    assert {(limit.algorithm, round(limit.period), limit.burst) for limit in backend.limits} == {
        ("token_bucket", 3600, 3)
    }
    seen = there.statistics()
    assert (seen.calls, seen.successes, seen.refused) == (3, 2, {"rate_limit": 1})
    assert (seen.rate_limits[0].admitted, seen.rate_limits[0].refused) == (2, 1)


async def test_it_is_refused_and_told_as_any_other_limit(shared: Callable[..., Pipeline], events: Events) -> None:
    told: list[Event] = []
    events.subscribe(told.append)
    guard = shared(Cache(), Retry(max_attempts=2, max_backoff=1), RateLimit("1/h", shared=True))

    @guard
    async def call(user: str) -> None: ...

    await call("ann")
    await call("ann")  # a hit takes nothing
    with pytest.raises(RateLimited):
        await call("bob")
    assert [type(each) for each in told] == [CallRefused]
    assert guard.statistics().retries == 0  # an hour is too long for it
    assert guard.statistics().refused == {"rate_limit": 1}


async def test_who_may_wait_waits_for_the_shared_limit(
    clock: FakeClock, shared: Callable[..., Pipeline], backend: Backend
) -> None:
    guard = shared(Timeout(30), RateLimit("1/s", max_wait=60, shared=True))
    times: list[float] = []
    began = clock.now()

    @guard
    async def call() -> None:
        times.append(round(clock.now() - began, 6))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(call)
        await clock.advance(5)
    assert times == [0.0, 1.0, 2.0, 3.0]
    assert guard.rate_limits[0].statistics().waited == 3
    backend.buckets["rate_limit:p:0"].reserve(1, 100)
    backend.buckets["rate_limit:p:0"].replace("1/min")
    with pytest.raises(RateLimited):  # it would be beyond the time limit around it
        await call()


async def test_without_the_backend_each_process_counts_by_itself_and_it_heals(
    clock: FakeClock,
    shared: Callable[..., Pipeline],
    backend: Backend,
    events: Events,
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[Event] = []
    events.subscribe(told.append)
    guard = shared(RateLimit("2/h", max_wait=0, shared=True))

    @guard
    async def call() -> None: ...

    await call()
    backend.away = True
    with caplog.at_level(logging.INFO, "corten.pipeline"):
        await call()
        await call()
        with pytest.raises(RateLimited):
            await call()
        assert [each.message for each in caplog.records] == [
            "pipeline p: the shared rate limit can't be reached, so this process decides alone: memory is away"
        ]
        backend.away = False
        clock.tick(5)
        await call()  # the one that is left there
        with pytest.raises(RateLimited):
            await call()
        assert caplog.records[-1].message == "pipeline p: the shared rate limit is kept by memory again, after 5 s"
    seen = guard.statistics()
    assert seen.degraded == {"rate_limit": 3}
    assert (seen.rate_limits[0].admitted, seen.rate_limits[0].refused, seen.rate_limits[0].degraded) == (4, 2, 3)
    assert sum(isinstance(each, CallDegraded) for each in told) == 3


async def test_waiting_here_while_it_is_away_gives_back_what_is_given_up(
    clock: FakeClock, shared: Callable[..., Pipeline], backend: Backend
) -> None:
    backend.away = True
    guard = shared(RateLimit("1/s", max_wait=10, key="user", shared=True))

    @guard
    async def call(user: str) -> None: ...

    await call("ann")
    async with anyio.create_task_group() as group:
        group.start_soon(call, "ann")
        await anyio.wait_all_tasks_blocked()
        assert guard.rate_limits[0].tokens(key="ann") == pytest.approx(-1)
        group.cancel_scope.cancel()
    assert guard.rate_limits[0].tokens(key="ann") == pytest.approx(0)
    assert guard.statistics().cancelled == 1


async def test_cancelled_at_each_await_it_leaks_nothing(shared: Callable[..., Pipeline]) -> None:
    guard = shared(RateLimit("1000/h", shared=True))

    @guard
    async def call() -> None:
        await anyio.lowlevel.checkpoint()

    await cancel_at_each_await(call)
    seen = guard.statistics()
    assert seen.calls == seen.successes + seen.cancelled
    assert seen.successes == 1


async def test_sync_functions_keep_a_limit_of_their_process(
    clock: FakeClock, shared: Callable[..., Pipeline], backend: Backend
) -> None:
    guard = shared(RateLimit("1/s", max_wait=2, key=lambda user: user, shared=True))

    @guard
    def call(user: str) -> float:
        return clock.now()

    began = clock.now()
    with anyio.CancelScope():
        assert await anyio.to_thread.run_sync(call, "ann") == began
        assert await anyio.to_thread.run_sync(call, "ann") == began + 1
    with pytest.raises(Exception, match="make it async, or call it in a worker thread"):
        call("ann")
    assert backend.buckets == {}


async def test_what_goes_wrong_with_keys_is_raised_and_nothing_is_asked(
    shared: Callable[..., Pipeline], backend: Backend
) -> None:
    guard = shared(RateLimit("5/h", key="user", cost="n", shared=True))

    @guard
    async def call(user: object, n: Any = 1) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for user, n, error, words in (
            ([], 1, TypeError, "unhashable"),
            (object(), 1, TypeError, "can't be shared, because it can't be written as JSON"),
            ("ann", -1, ValueError, "a call costs -1"),
            ("ann", "1", ValueError, "a call costs '1'"),
        ):
            with pytest.raises(error, match=words):
                await call(user, n)
    assert backend.buckets == {}


async def test_another_rate_holds_for_the_shared_limit(shared: Callable[..., Pipeline], backend: Backend) -> None:
    guard = shared(RateLimit("5/h", shared=True))

    @guard
    async def call() -> None: ...

    await call()
    guard.rate_limits[0].replace("7/s")
    await call()
    assert [(round(limit.period), limit.burst) for limit in backend.limits] == [(3600, 5), (1, 7)]


async def test_a_parameter_that_is_none_is_said_at_decoration(shared: Callable[..., Pipeline]) -> None:
    async def call(user: str) -> None: ...

    with pytest.raises(ValueError, match="counts by 'usr', which is no parameter"):
        shared(RateLimit("1/s", key="usr", shared=True))(call)


def test_different_keys_are_different_texts() -> None:
    keys = [
        "1", 1, 1.5, True, None, b"1", ("1",), (1,), ((1,),), ("a", "b"), (("a",), "b"), "a,b", frozenset({1, 2}),
        date(2024, 1, 1), "2024-01-01", "x" * 300, "y" * 300, 2**70, "int:1", ("x" * 300, 1),
    ]  # fmt: skip
    texts = [key_text(key) for key in keys]
    assert len(set(texts)) == len(keys)
    assert max(map(len, texts)) <= 210
    assert key_text(frozenset({2, 1})) == key_text(frozenset({1, 2}))


async def test_blocks_and_iterations_take_from_it_as_well(shared: Callable[..., Pipeline], backend: Backend) -> None:
    guard = shared(RateLimit("3/h", shared=True))

    @guard
    async def numbers() -> AsyncGenerator[int]:
        yield 1
        yield 2

    async with guard.guard():
        pass
    assert [number async for number in numbers()] == [1, 2]
    async with guard.guard():
        pass
    with pytest.raises(RateLimited):
        async with guard.guard():
            pass
    assert len(backend.limits) == 4
    assert guard.statistics().refused == {"rate_limit": 1}
