"""Calls that are shared, late, failing, made ahead of time, or waiting for themselves."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.to_thread
import pytest

from corten import App, deadline
from corten.app.internals import internals_of
from corten.errors import CortenError, DeadlineExceeded
from corten.events import CallDegraded, CallTimedOut
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.background import Background
from corten.pipeline.pipeline import runtime_of
from corten.policies import Cache, Retry
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


class Source:
    """Answers with the number of the call; slow or failing where told so."""

    def __init__(self, clock: FakeClock) -> None:
        self.calls = 0
        self.takes = 0.0
        self.error: Exception | None = None
        self._clock = clock

    async def load(self, key: int) -> int:
        self.calls += 1
        number = self.calls
        if self.takes:
            await self._clock.sleep(self.takes)
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def source(clock: FakeClock) -> Source:
    return Source(clock)


async def until_blocked() -> None:
    await anyio.wait_all_tasks_blocked()


class Caller:
    """Calls in a task of its own."""

    def __init__(self, group: anyio.abc.TaskGroup, call: Callable[[], Awaitable[Any]]) -> None:
        self.result: Any = None
        self._call = call
        group.start_soon(self._run)

    async def _run(self) -> None:
        try:
            self.result = await self._call()
        except Exception as error:
            self.result = error


# -- stale results


async def test_a_stale_result_answers_where_the_call_fails_but_not_for_ever(
    clock: FakeClock, pipeline: Callable[..., Pipeline], source: Source
) -> None:
    guard = pipeline(Cache(ttl=10, stale=30))
    load = guard(source.load)
    assert await load(1) == 1
    clock.tick(10)
    source.error = OSError("away")
    assert [await load(1), await load(1)] == [1, 1]
    assert source.calls == 3
    clock.tick(30)
    with pytest.raises(OSError, match="away"):
        await load(1)
    with pytest.raises(OSError, match="away"):
        await load(2)
    assert guard.cache(load).statistics().results.stale == 2
    source.error = None
    assert await load(1) == 6


async def test_all_who_wait_for_a_failing_call_get_the_stale_result(
    clock: FakeClock, pipeline: Callable[..., Pipeline], source: Source
) -> None:
    guard = pipeline(Cache(ttl=10, stale=30))
    load = guard(source.load)
    await load(1)
    clock.tick(10)
    source.error, source.takes = OSError("away"), 1
    async with anyio.create_task_group() as group:
        callers = [Caller(group, lambda: load(1)) for _ in range(3)]
        await until_blocked()
        await clock.advance(1)
    assert [caller.result for caller in callers] == [1, 1, 1]
    assert source.calls == 2


async def test_a_degraded_answer_is_told(clock: FakeClock, source: Source) -> None:
    app = App("a", clock=clock, config=None, autoload=False)
    guard = app.add(Pipeline("p", Cache(ttl=10, stale=30), Retry(max_attempts=1)))
    load = guard(source.load)
    told: list[CallDegraded] = []
    app.events.subscribe(told.append, CallDegraded)
    async with app:
        await load(1)
        clock.tick(10)
        source.error = OSError("away")
        await load(1)
    assert [(each.pipeline, each.policy, each.error) for each in told] == [("p", "cache", "OSError: away")]


# -- time limits


async def test_after_the_hard_limit_a_call_is_given_up(
    clock: FakeClock, pipeline: Callable[..., Pipeline], source: Source
) -> None:
    guard = pipeline(Cache(ttl=10, hard_timeout=5))
    load = guard(source.load)
    source.takes = 60
    async with anyio.create_task_group() as group:
        callers = [Caller(group, lambda: load(1)) for _ in range(2)]
        await until_blocked()
        await clock.advance(4.9)
        assert [caller.result for caller in callers] == [None, None]
        await clock.advance(0.1)
    assert [type(caller.result) for caller in callers] == [DeadlineExceeded] * 2
    assert str(callers[0].result) == "pipeline 'p': Source.load did not finish within 5 s"
    seen = guard.cache(load).statistics()
    assert (seen.hard_timeouts, seen.under_way) == (1, 0)
    source.takes = 1
    async with anyio.create_task_group() as group:
        caller = Caller(group, lambda: load(1))
        await until_blocked()
        await clock.advance(1)
    assert caller.result == 2


async def test_after_the_hard_limit_a_stale_result_answers(
    clock: FakeClock, pipeline: Callable[..., Pipeline], source: Source
) -> None:
    load = pipeline(Cache(ttl=10, hard_timeout=5, stale=60))(source.load)
    await load(1)
    clock.tick(10)
    source.takes = 60
    async with anyio.create_task_group() as group:
        caller = Caller(group, lambda: load(1))
        await until_blocked()
        await clock.advance(5)
    assert caller.result == 1


async def test_without_an_app_the_soft_limit_ends_the_call(
    clock: FakeClock, pipeline: Callable[..., Pipeline], source: Source
) -> None:
    guard = pipeline(Cache(ttl=10, soft_timeout=1, stale=60))
    load = guard(source.load)
    await load(1)
    clock.tick(10)
    source.takes = 5
    async with anyio.create_task_group() as group:
        caller = Caller(group, lambda: load(1))
        await until_blocked()
        await clock.advance(1)
    assert caller.result == 1
    seen = guard.cache(load).statistics()
    assert (seen.soft_timeouts, seen.under_way, source.calls) == (1, 0, 2)
    # Where nothing stale is there the soft limit means nothing.
    async with anyio.create_task_group() as group:
        caller = Caller(group, lambda: load(2))
        await until_blocked()
        await clock.advance(5)
    assert caller.result == 3


def bound(app: App[None], policy: Cache, source: Source) -> tuple[Pipeline, Callable[[int], Awaitable[int]]]:
    guard = Pipeline("p", policy, clock=app.clock, registry=Registry())
    runtime_of(guard).bind(
        owner=app,
        clock=app.clock,
        registry=app.registry,
        events=app.events,
        background=internals_of(app).life.background,
    )
    return guard, guard(source.load)


async def test_in_an_app_a_call_goes_on_after_the_soft_limit(clock: FakeClock, source: Source) -> None:
    async with App("a", clock=clock, config=None, autoload=False) as app:
        guard, load = bound(app, Cache(ttl=10, soft_timeout=1, stale=60), source)
        await load(1)
        clock.tick(10)
        source.takes = 5
        async with anyio.create_task_group() as group:
            early = [Caller(group, lambda: load(1)) for _ in range(2)]
            await until_blocked()
            await clock.advance(1)
            assert [caller.result for caller in early] == [1, 1]
            late = Caller(group, lambda: load(1))
            await until_blocked()
            await clock.advance(1)
            assert late.result == 1
            await clock.advance(3)
        assert await load(1) == 2
        seen = guard.cache(load).statistics()
        assert (source.calls, seen.soft_timeouts, seen.under_way) == (2, 3, 0)


async def test_in_an_app_what_is_done_in_time_is_what_callers_get(clock: FakeClock, source: Source) -> None:
    async with App("a", clock=clock, config=None, autoload=False) as app:
        guard, load = bound(app, Cache(ttl=10, soft_timeout=2, stale=60), source)
        await load(1)
        clock.tick(10)
        source.takes = 1
        async with anyio.create_task_group() as group:
            caller = Caller(group, lambda: load(1))
            await until_blocked()
            await clock.advance(1)
        assert caller.result == 2
        clock.tick(10)
        source.error = OSError("away")
        async with anyio.create_task_group() as group:
            caller = Caller(group, lambda: load(1))
            await until_blocked()
            await clock.advance(1)
        assert caller.result == 2
        assert guard.cache(load).statistics().background_errors == 1


async def test_when_the_app_stops_what_goes_on_in_the_background_is_cancelled(clock: FakeClock, source: Source) -> None:
    async with App("a", clock=clock, config=None, autoload=False) as app:
        guard, load = bound(app, Cache(ttl=10, soft_timeout=1, stale=60), source)
        await load(1)
        clock.tick(10)
        source.takes = 500
        async with anyio.create_task_group() as group:
            Caller(group, lambda: load(1))
            await until_blocked()
            await clock.advance(1)
        assert internals_of(app).life.background.jobs == 1
    assert (internals_of(app).life.background.jobs, internals_of(app).life.left_behind) == (0, [])
    assert guard.cache(load).statistics().under_way == 0
    assert not internals_of(app).life.background.start(source.load, 1)


async def test_the_background_takes_so_many_jobs_and_logs_what_they_raise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    background = Background(max_jobs=1)
    ended: list[str] = []

    async def fail() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("one")
            raise KeyError("oops")

    assert not background.start(fail)
    async with anyio.create_task_group() as group:
        background.open(group)
        assert background.start(fail)
        assert not background.start(fail)
        assert not await anyio.to_thread.run_sync(background.start, fail)
        await background.close()
    assert ended == ["one"]
    assert "a background job of a pipeline failed" in caplog.text


# -- ahead of time

EAGER = 1e6
"""So eager that a result which took a moment is due from the beginning."""


async def test_who_is_chosen_makes_a_result_anew_before_its_time_has_passed(
    clock: FakeClock, pipeline: Callable[..., Pipeline], source: Source
) -> None:
    guard = pipeline(Cache(ttl=100, early_refresh=EAGER))
    load = guard(source.load)
    source.takes = 1
    async with anyio.create_task_group() as group:
        Caller(group, lambda: load(1))
        await until_blocked()
        await clock.advance(1)
    async with anyio.create_task_group() as group:
        chosen = Caller(group, lambda: load(1))
        await until_blocked()
        others = [Caller(group, lambda: load(1)) for _ in range(3)]
        await until_blocked()
        assert [caller.result for caller in others] == [1, 1, 1]
        await clock.advance(1)
    assert (chosen.result, source.calls) == (2, 2)
    source.error = OSError("away")
    async with anyio.create_task_group() as group:
        chosen = Caller(group, lambda: load(1))
        await until_blocked()
        await clock.advance(1)
    assert chosen.result == 2  # it is still good
    assert guard.cache(load).statistics().results.refreshes > 3


async def test_in_an_app_nobody_waits_for_an_early_refresh(clock: FakeClock, source: Source) -> None:
    name = contextvars.ContextVar("name", default="nobody")
    seen: list[str] = []
    async with App("a", clock=clock, config=None, autoload=False) as app:
        guard, _ = bound(app, Cache(ttl=100, early_refresh=EAGER), source)

        @guard
        async def load(key: int) -> int:
            seen.append(f"{name.get()} {deadline.remaining()}")
            return await source.load(key)

        source.takes = 1
        async with anyio.create_task_group() as group:
            Caller(group, lambda: load(1))
            await until_blocked()
            await clock.advance(1)
        name.set("me")
        with deadline.within(0.5, clock):
            assert [await load(1), await load(1)] == [1, 1]
        await until_blocked()
        await clock.advance(1)
        assert source.calls == 2
        assert seen == ["nobody None", "me None"]  # who began it does not wait for it: its deadline is not the caller's
        assert await guard.cache(load).get(1) == 2
        source.error = OSError("away")
        assert await load(1) == 2
        await until_blocked()
        await clock.advance(1)
        assert (await load(1), guard.cache(load).statistics().background_errors) == (2, 1)
        await until_blocked()


async def test_without_eagerness_nothing_is_made_ahead_of_time(
    clock: FakeClock, pipeline: Callable[..., Pipeline], source: Source
) -> None:
    load = pipeline(Cache(ttl=10, jitter=0.5))(source.load)
    for _ in range(100):
        await load(1)
    clock.tick(4.9)
    await load(1)
    assert source.calls == 1
    clock.tick(5.1)
    await load(1)
    assert source.calls == 2


# -- waiting for oneself


async def test_a_call_that_waits_for_its_own_result_is_an_error(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache())

    @guard
    async def factorial(n: int) -> int:
        return 1 if n == 0 else n * await factorial(n - 1)

    @guard
    async def endless(n: int) -> int:
        return await endless(n)

    @guard
    async def by_a_child(n: int) -> int:
        async with anyio.create_task_group() as group:
            group.start_soon(by_a_child, n)
        return n

    @guard
    async def ping(n: int) -> int:
        return await pong(n)

    @guard
    async def pong(n: int) -> int:
        return await ping(n)

    assert await factorial(5) == 120
    with pytest.raises(CortenError, match=r"endless: a cached call waits for its own result"):
        await endless(1)
    with pytest.raises(ExceptionGroup) as caught:
        await by_a_child(1)
    assert isinstance(caught.value.exceptions[0], CortenError)
    with pytest.raises(CortenError, match="ping: a cached call waits for its own result"):
        await ping(1)
    assert all(each.under_way == 0 for each in guard.statistics().caches)


async def test_two_tasks_that_wait_for_each_other_are_an_error_too(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache())
    both = [anyio.Event(), anyio.Event()]

    @guard
    async def load(n: int) -> int:
        both[n].set()
        await both[1 - n].wait()
        return await load(1 - n)

    async with anyio.create_task_group() as group:
        callers = [Caller(group, lambda n=n: load(n)) for n in (0, 1)]  # type: ignore[misc]
    assert [type(caller.result) for caller in callers] == [CortenError] * 2


def test_a_sync_function_that_waits_for_itself_is_an_error(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache())

    @guard
    def endless(n: int) -> int:
        return endless(n)

    with pytest.raises(CortenError, match="endless: a cached call waits for its own result"):
        endless(1)
    assert guard.cache_sync(endless).statistics().under_way == 0


def test_two_threads_that_wait_for_each_other_are_an_error_too(pipeline: Callable[..., Pipeline]) -> None:
    both = threading.Barrier(2)

    @pipeline(Cache())
    def load(n: int) -> int:
        both.wait(10)
        return load(1 - n)

    with ThreadPoolExecutor(2) as threads:
        errors = [each.exception(10) for each in [threads.submit(load, n) for n in (0, 1)]]
    assert [type(error) for error in errors] == [CortenError] * 2


# -- cancellation


async def test_cancelled_anywhere_a_call_leaves_nothing_behind(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    for policy in (
        Cache(),
        Cache(ttl=10, stale=60, soft_timeout=5, hard_timeout=50, early_refresh=1, tags=("key:{key}",)),
    ):
        guard = pipeline(policy)

        @guard
        async def load(key: int) -> int:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            return key

        cache = guard.cache(load)
        await load(1)
        clock.tick(10)

        async def operation(load: Any = load, cache: Any = cache) -> None:
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(load, 1)
            await cache.clear()

        def nothing_is_left(cache: Any = cache) -> None:
            assert cache.statistics().under_way == 0

        assert await cancel_at_each_await(operation, nothing_is_left) > 2


async def test_callers_who_gave_up_waiting_are_counted(
    pipeline: Callable[..., Pipeline], clock: FakeClock, source: Source
) -> None:
    guard = pipeline(Cache())
    load = guard(source.load)
    source.takes = 1

    async def impatient() -> None:
        with clock.move_on_after(0.5):
            await load(1)

    async with anyio.create_task_group() as group:
        for call in (lambda: load(1), impatient, impatient, lambda: load(1)):
            Caller(group, call)
            await until_blocked()
        await clock.advance(1)
    counted = guard.statistics()
    assert (counted.calls, counted.cancelled, counted.successes, counted.hits) == (4, 2, 1, 1)


async def test_ten_thousand_callers_share_one_call(pipeline: Callable[..., Pipeline], clock: FakeClock) -> None:
    source = Source(clock)
    source.takes = 1
    guard = pipeline(Cache())
    load = guard(source.load)
    results: list[int] = []

    async def run() -> None:
        results.append(await load(1))

    async with anyio.create_task_group() as group:
        for _ in range(10_000):
            group.start_soon(run)
        await until_blocked()
        await clock.advance(1)
    assert results == [1] * 10_000
    seen = guard.statistics()
    assert (source.calls, seen.calls, seen.hits, seen.caches[0].joined) == (1, 10_000, 9_999, 9_999)


# -- threads


def test_threads_share_a_call_its_result_and_its_error(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache())
    gate, begun = threading.Event(), threading.Event()
    calls: list[int] = []

    @guard
    def load(key: int) -> int:
        calls.append(key)
        begun.set()
        assert gate.wait(10)
        if key < 0:
            raise KeyError(key)
        return key

    started = threading.Semaphore(0)

    def call(key: int) -> int:
        started.release()
        return load(key)

    for key, kind in ((1, int), (-1, KeyError)):
        gate.clear()
        begun.clear()
        with ThreadPoolExecutor(8) as threads:
            callers = [threads.submit(call, key) for _ in range(8)]
            assert begun.wait(10)
            assert all(started.acquire(timeout=10) for _ in callers)
            gate.set()
        results = [each.exception() or each.result() for each in callers]
        assert {type(result) for result in results} == {kind}
    # A thread that came when the failed call was over has made another.
    assert calls[0] == 1
    assert calls.count(1) == 1
    assert guard.cache_sync(load).statistics().under_way == 0


def test_a_thread_that_is_interrupted_hands_the_call_on(pipeline: Callable[..., Pipeline]) -> None:
    gate, begun = threading.Event(), threading.Event()
    calls: list[str] = []

    @pipeline(Cache())
    def load(key: int) -> int:
        calls.append("call")
        if len(calls) == 1:
            begun.set()
            assert gate.wait(10)
            raise KeyboardInterrupt
        return key

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(load, 1)
        assert begun.wait(10)
        second = threads.submit(load, 1)
        gate.set()
        assert isinstance(first.exception(10), KeyboardInterrupt)
        assert second.result(10) == 1


async def test_the_thread_of_an_event_loop_waits_for_no_other(pipeline: Callable[..., Pipeline]) -> None:
    gate, begun = threading.Event(), threading.Event()

    @pipeline(Cache())
    def load(key: int) -> str:
        name = threading.current_thread().name
        if name != main:
            begun.set()
            assert gate.wait(10)
        return name

    main = threading.current_thread().name
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, load, 1)
        await anyio.to_thread.run_sync(begun.wait, 10)
        assert load(1) == main
        gate.set()


def test_threads_hammering_one_cache_lose_no_count(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache(max_entries=50, ttl=60, stale=60, tags=("mod:{tag}",), key=("key",)))

    @guard
    def load(key: int, tag: int = 0) -> int:
        if key % 17 == 0:
            raise KeyError(key)
        return key

    cache = guard.cache_sync(load)
    start = threading.Barrier(4)

    def hammer(seed: int) -> int:
        start.wait(10)
        for number in range(2_000):
            key = (number * 7 + seed) % 120
            try:
                assert load(key, tag=key % 5) == key
            except KeyError:
                assert key % 17 == 0
            if number % 100 == 0:
                cache.invalidate_tag(f"mod:{number % 5}")
            if number % 70 == 0:
                cache.invalidate(key)
        return 2_000

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            made = sum(threads.map(hammer, range(4)))
    finally:
        sys.setswitchinterval(interval)
    seen = guard.statistics()
    assert seen.calls == made
    assert (seen.caches[0].under_way, seen.caches[0].results.entries <= 50) == (0, True)
    cache.clear()
    assert cache.statistics().results.tags == 0


def test_a_stale_result_answers_for_sync_functions_too(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    failing = False
    guard = pipeline(Cache(ttl=10, stale=30))

    @guard
    def load(key: int) -> int:
        if failing:
            raise OSError("away")
        return key

    assert load(1) == 1
    clock.tick(10)
    failing = True
    assert load(1) == 1
    clock.tick(30)
    with pytest.raises(OSError, match="away"):
        load(1)


def test_a_sync_function_refreshes_early_where_it_is(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    calls = []

    @pipeline(Cache(ttl=100, early_refresh=EAGER))
    def load(key: int) -> int:
        calls.append(key)
        clock.tick(1)
        if len(calls) == 3:
            raise OSError("away")
        return len(calls)

    assert [load(1), load(1), load(1)] == [1, 2, 2]


def test_a_sync_function_has_no_time_limits(pipeline: Callable[..., Pipeline]) -> None:
    def load(key: int) -> int:
        return key

    for policy in (Cache(hard_timeout=1), Cache(ttl=1, stale=1, soft_timeout=1)):
        with pytest.raises(ValueError, match=r"_timeout, and .*load is a sync function, which nothing can interrupt"):
            pipeline(policy)(load)


async def test_a_hard_limit_is_told(clock: FakeClock, source: Source) -> None:
    app = App("a", clock=clock, config=None, autoload=False)
    guard = app.add(Pipeline("p", Cache(hard_timeout=2), Retry(max_attempts=1)))
    load = guard(source.load)
    told: list[CallTimedOut] = []
    app.events.subscribe(told.append, CallTimedOut)
    async with app:
        source.takes = 9
        async with anyio.create_task_group() as group:
            Caller(group, lambda: load(1))
            await until_blocked()
            await clock.advance(2)
    assert [(each.policy, each.seconds) for each in told] == [("cache", 2)]
