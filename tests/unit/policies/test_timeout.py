"""What a time limit ends, and what it leaves alone."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from corten.clock import Clock, TimerHandle
from corten.errors import DeadlineExceeded
from corten.pipeline import Pipeline
from corten.policies import Bulkhead, Cache, Retry, Timeout
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


async def limited(clock: FakeClock, guarded: Callable[..., Any], seconds: float) -> list[tuple[float, BaseException]]:
    """Run until the clock was moved; when and by which error it ended."""
    ended: list[tuple[float, BaseException]] = []

    async def run() -> None:
        try:
            await guarded()
        except Exception as error:
            ended.append((round(clock.now() - 1000, 6), error))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(seconds)
    return ended


async def test_a_call_that_takes_too_long_is_ended_at_its_time(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    cleaned = []

    @pipeline(Timeout(2.5))
    async def forever() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    [(when, error)] = await limited(clock, forever, 9)
    assert when == 2.5
    assert isinstance(error, DeadlineExceeded)
    assert isinstance(error, TimeoutError)
    assert (error.what, error.seconds) == ("p", 2.5)
    assert cleaned == [True]


async def test_what_is_in_time_is_left_alone(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Timeout(2))

    @guard
    async def quick() -> int:
        await clock.sleep(1)
        return 3

    results = []

    async def run() -> None:
        results.append(await quick())
        results.append(await quick())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(9)
    assert results == [3, 3]
    assert guard.statistics().timeouts == 0


async def test_inside_a_retry_it_is_for_each_attempt(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Retry(max_attempts=3, initial_backoff=1, backoff_multiplier=1, jitter=0), Timeout(2))
    starts = []

    @guard
    async def forever() -> None:
        starts.append(clock.now() - 1000)
        await anyio.sleep_forever()

    [(when, error)] = await limited(clock, forever, 60)
    assert (starts, when) == ([0, 3, 6], 8)
    assert isinstance(error, DeadlineExceeded)
    assert (guard.statistics().timeouts, guard.statistics().retries) == (1, 2)


async def test_outside_a_retry_it_is_for_all_attempts(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    starts = []

    @pipeline(Timeout(7), Retry(max_attempts=9, initial_backoff=1, backoff_multiplier=1, jitter=0), Timeout(2))
    async def forever() -> None:
        starts.append(clock.now() - 1000)
        await anyio.sleep_forever()

    [(when, error)] = await limited(clock, forever, 60)
    assert (starts, when) == ([0, 3, 6], 7)
    assert isinstance(error, DeadlineExceeded)
    assert error.seconds == 7


async def test_outside_a_cache_it_holds_for_all_who_share_a_call(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    calls = []

    @pipeline(Timeout(2), Cache())
    async def forever() -> None:
        calls.append(clock.now() - 1000)
        await anyio.sleep_forever()

    async def run() -> None:
        with pytest.raises(DeadlineExceeded):
            await forever()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(1)
        group.start_soon(run)
        await clock.advance(5)
    assert calls == [0, 2], "who waited made the call when the first was ended"


async def test_a_cancellation_from_outside_stays_one(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Timeout(2))

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(forever)
            await clock.advance(1)
            scope.cancel()
    assert scope.cancelled_caught
    assert guard.statistics().cancelled == 1
    await clock.advance(5)
    assert guard.statistics().timeouts == 0


async def test_awaited_clean_up_after_the_limit_is_carried_out(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    done = []

    @pipeline(Timeout(2))
    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                await clock.sleep(1)
                done.append(True)

    [(when, error)] = await limited(clock, work, 9)
    assert (when, done) == (3, [True])
    assert isinstance(error, DeadlineExceeded)


async def test_an_error_raised_in_answer_to_the_limit_is_that_error(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    @pipeline(Timeout(2))
    async def work() -> None:
        try:
            await anyio.sleep_forever()
        except BaseException:
            raise KeyError("mine") from None

    [(when, error)] = await limited(clock, work, 9)
    assert isinstance(error, KeyError)
    assert when == 2


async def test_cancel_scopes_inside_keep_their_own_deadlines(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    seen = []

    @pipeline(Timeout(5), Retry(initial_backoff=0), Timeout(3))
    async def work() -> None:
        with clock.move_on_after(1) as scope:
            await anyio.sleep_forever()
        seen.append((clock.now() - 1000, scope.cancelled_caught))
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            await anyio.sleep_forever()

    [(when, error)] = await limited(clock, work, 20)
    assert (when, seen) == (5, [(1, True), (4, True)])
    assert isinstance(error, DeadlineExceeded)


async def test_pipelines_in_pipelines_keep_their_limits_apart(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    @pipeline(Timeout(4), name="inner")
    async def inner() -> None:
        await anyio.sleep_forever()

    @pipeline(Timeout(4), name="outer")
    async def outer() -> None:
        await inner()

    [(when, error)] = await limited(clock, outer, 20)
    assert when == 4
    assert isinstance(error, DeadlineExceeded)

    @pipeline(Timeout(9), name="patient")
    async def patient() -> str:
        try:
            await inner()
        except DeadlineExceeded as error:
            await clock.sleep(1)
            raise LookupError(error.what) from error
        return ""

    [(when, error)] = await limited(clock, patient, 20)
    assert (when - 20, str(error)) == (5, "inner")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has cancel scopes
async def test_many_calls_share_one_timer_of_the_loop(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    timers = 0
    call_at = clock.call_at

    def counting(*args: Any) -> Any:
        nonlocal timers
        timers += 1
        return call_at(*args)

    clock.call_at = counting  # type: ignore[method-assign]
    guard = pipeline(Timeout(2))

    @guard
    async def quick() -> None:
        await anyio.lowlevel.checkpoint()

    for _ in range(100):
        await quick()
    assert timers == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has cancel scopes
async def test_a_loop_whose_clock_runs_faster_ends_every_call_at_its_time(
    clock: FakeClock, pipeline: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_at = clock.call_at

    def hurried(deadline: float, callback: Callable[[], object]) -> TimerHandle:
        return call_at(deadline - 0.01 * (deadline - clock.now()), callback)

    monkeypatch.setattr(clock, "call_at", hurried)
    forever = pipeline(Timeout(2.5))(anyio.sleep_forever)
    for number in range(1, 4):
        [(when, error)] = await limited(clock, forever, 3)
        assert when == pytest.approx(3 * number - 0.5, abs=1e-6)
        assert isinstance(error, DeadlineExceeded)


def test_asyncio_counts_cancellations_as_its_own_timeout_does(pipeline: Callable[..., Pipeline]) -> None:
    """The outer cancellation and the limit fall together: the outer one wins, and nothing is left over."""

    async def main() -> None:
        clock = FakeClock()
        guard = Pipeline("p", Timeout(1), clock=clock)

        @guard
        async def forever() -> None:
            await asyncio.Event().wait()

        async def run() -> None:
            await forever()

        task = asyncio.ensure_future(run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.tick(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

        async def converts() -> int:
            with pytest.raises(DeadlineExceeded):
                await forever()
            current = asyncio.current_task()
            assert current is not None
            return current.cancelling()

        other = asyncio.ensure_future(converts())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.tick(1)
        assert await other == 0

    asyncio.run(main())


def test_a_loop_that_is_closed_is_let_go() -> None:
    guard = Pipeline("p", Timeout(30))
    gone = []

    @guard
    async def quick() -> None:
        gone.append(weakref.ref(asyncio.get_running_loop()))
        await asyncio.sleep(0)

    asyncio.run(quick())
    gc.collect()
    assert gone[0]() is None


def test_a_loop_that_is_closed_on_its_tasks_gives_their_places_back() -> None:
    guard = Pipeline("p", Bulkhead(1), Timeout(30))

    @guard
    async def hang() -> None:
        await asyncio.Event().wait()

    async def begin() -> None:
        task = asyncio.ensure_future(hang())
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is what is tested here
        await asyncio.sleep(0)
        assert guard.statistics().bulkheads[0].running == 1

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    gc.collect()
    assert guard.statistics().bulkheads[0].running == 0


@pytest.mark.parametrize("seconds", [1e10, 1e18, 1e300])
def test_a_limit_beyond_all_time_is_none(seconds: float) -> None:
    wakings = []

    class Counting(Clock):
        def call_at(self, deadline: float, callback: Callable[[], object]) -> TimerHandle:
            wakings.append(deadline)
            return super().call_at(deadline, callback)

    @Pipeline("p", Timeout(seconds), clock=Counting())
    async def work() -> int:
        for _ in range(20):
            await asyncio.sleep(0)
        return 1

    assert asyncio.run(work()) == 1
    assert len(wakings) == 1


def test_bare_yields_are_limited_too() -> None:
    async def main() -> None:
        clock = FakeClock()

        @Pipeline("p", Timeout(1), clock=clock)
        async def spin() -> None:
            while True:  # noqa: ASYNC110
                await asyncio.sleep(0)

        task = asyncio.ensure_future(spin())
        await asyncio.sleep(0)
        clock.tick(1)
        with pytest.raises(DeadlineExceeded):
            await task

    asyncio.run(main())


def test_without_a_task_a_limit_is_an_error(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(Timeout(1))
    async def wait() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError):
        wait().send(None)


def test_a_plain_function_cannot_have_one(pipeline: Callable[..., Pipeline]) -> None:
    with pytest.raises(ValueError, match="compute is a sync function, which nothing can interrupt"):

        @pipeline(Timeout(1))
        def compute() -> int:
            return 1


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_impossible_limits_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout: seconds is"):
        Timeout(seconds)


def test_a_clock_of_a_test_is_let_go_with_the_timers_that_wait_on_it() -> None:
    def run() -> weakref.ref[FakeClock]:
        clock = FakeClock()

        @Pipeline("p", Timeout(5), clock=clock)
        async def work() -> None:
            await asyncio.sleep(0)

        asyncio.run(work())
        return weakref.ref(clock)

    clock = run()
    gc.collect()
    assert clock() is None
