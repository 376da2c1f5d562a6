"""The deadline around code: who sets it, who sees it, who heeds it."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from corten import deadline
from corten.errors import BulkheadFull, DeadlineExceeded, RateLimited
from corten.pipeline import Pipeline
from corten.policies import Bulkhead, Cache, RateLimit, Retry, Timeout
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


async def test_nothing_is_known_where_there_is_no_time_limit(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(Retry())
    async def work() -> float | None:
        return deadline.remaining()

    assert await work() is None
    assert deadline.remaining() is None


async def test_a_function_sees_what_its_time_limit_leaves_before_and_after_it_suspends(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    seen: list[float | None] = []

    @pipeline(Timeout(5))
    async def work() -> None:
        seen.append(deadline.remaining())
        await clock.sleep(2)
        seen.append(deadline.remaining())

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await clock.advance(2)
    assert seen == [pytest.approx(5), pytest.approx(3)]
    assert deadline.remaining() is None


async def test_the_earliest_of_nested_limits_holds(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(Timeout(9))
    async def generous() -> float | None:
        return deadline.remaining()

    @pipeline(Timeout(3), Cache(), Timeout(4))
    async def strict() -> tuple[float | None, float | None]:
        return await generous(), deadline.remaining()

    assert await strict() == (pytest.approx(3), pytest.approx(3))

    @pipeline(Timeout(20))
    async def patient() -> tuple[float | None, float | None]:
        return await generous(), deadline.remaining()

    assert await patient() == (pytest.approx(9), pytest.approx(20))


async def test_it_is_gone_after_the_call_however_that_ended(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    @pipeline(Timeout(5))
    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    assert deadline.remaining() is None


async def test_a_task_beside_the_call_does_not_see_its_deadline(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    seen: list[float | None] = []

    @pipeline(Timeout(5))
    async def work() -> None:
        await clock.sleep(1)

    async def other() -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(deadline.remaining())

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        group.start_soon(other)
        await clock.advance(1)
    assert seen == [None]


async def test_a_pipeline_inside_waits_for_no_token_beyond_it(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    @pipeline(RateLimit("1/s", burst=1, max_wait=60), name="limit")
    async def limited() -> None: ...

    @pipeline(Timeout(0.5))
    async def hurried() -> None:
        await limited()

    await limited()
    with pytest.raises(RateLimited) as refused:
        await hurried()
    assert refused.value.retry_after == pytest.approx(1.0)


async def test_a_pipeline_inside_begins_no_attempt_beyond_it(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    attempts = []

    @pipeline(Retry(max_attempts=5, initial_backoff=10, jitter=0))
    async def away() -> None:
        attempts.append(clock.now())
        raise OSError("away")

    with pytest.raises(OSError, match="away"), deadline.within(3, clock):
        await away()
    assert len(attempts) == 1


async def test_a_pipeline_inside_waits_for_no_place_beyond_it(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    places = pipeline(Bulkhead(1, max_waiting=5, max_wait=60), name="places")

    @places
    async def hold() -> None:
        await clock.sleep(30)

    @pipeline(Timeout(2), name="outer")
    async def hurried() -> None:
        await hold()

    ended: list[BaseException] = []

    async def run() -> None:
        try:
            await hurried()
        except (DeadlineExceeded, BulkheadFull) as error:
            ended.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(hold)
        await anyio.lowlevel.checkpoint()
        group.start_soon(run)
        await clock.advance(2)
        assert len(ended) == 1
        await clock.advance(28)
    assert places.statistics().bulkheads[0].running == 0


async def test_within_tells_what_is_inside_and_tasks_inherit_it(clock: FakeClock) -> None:
    seen: list[float | None] = []

    async def child() -> None:
        seen.append(deadline.remaining())

    with deadline.within(8, clock):
        with deadline.within(60, clock):
            assert deadline.remaining() == pytest.approx(8)
        async with anyio.create_task_group() as group:
            group.start_soon(child)
    assert seen == [pytest.approx(8)]
    assert deadline.remaining() is None


async def test_a_wait_ends_a_little_before_the_deadline_around_it(clock: FakeClock) -> None:
    assert deadline.at_most(30) == 30
    with deadline.within(2, clock):
        assert deadline.at_most(30) == pytest.approx(1.99)
        assert deadline.at_most(1) == 1
        clock.tick(1.999)
        assert deadline.at_most(30) == pytest.approx(0.0009)


async def test_a_deadline_that_passed_leaves_nothing_and_not_less(clock: FakeClock) -> None:
    with deadline.within(1, clock):
        clock.tick(5)
        assert deadline.remaining() == 0.0


def test_plain_functions_heed_it_too(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(RateLimit("1/s", burst=1, max_wait=60))
    def limited() -> None: ...

    limited()
    with deadline.within(0.5, clock), pytest.raises(RateLimited):
        limited()


async def test_no_place_is_waited_for_beyond_what_is_told(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=1))
    gate = anyio.Event()

    @guard
    async def work() -> None:
        await gate.wait()

    async def hurried() -> None:
        with deadline.within(2, clock), pytest.raises(BulkheadFull, match="no place came free"):
            await work()
        assert clock.now() == pytest.approx(1002, abs=0.1)
        gate.set()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(hurried)
        await clock.advance(3)
    assert guard.bulkheads[0].statistics().running == 0


async def test_a_deadline_that_has_passed_leaves_no_time_however_long_ago(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    calls: list[float | None] = []

    @pipeline(Retry(max_attempts=3, initial_backoff=1))
    async def work() -> None:
        calls.append(deadline.remaining())
        raise OSError

    for seconds in (-1, -1e9, -math.inf):
        with deadline.within(seconds, clock), pytest.raises(OSError):
            await work()
    assert calls == [0, 0, 0]
    with pytest.raises(ValueError, match="seconds is nan"), deadline.within(math.nan, clock):
        pass


async def test_a_time_limit_of_an_outer_pipeline_ends_a_wait_for_a_place(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    inner = pipeline(Bulkhead(1, max_waiting=1))
    gate = anyio.Event()

    @inner
    async def work() -> None:
        await gate.wait()

    @pipeline(Timeout(2), name="outer")
    async def hurried() -> None:
        await work()

    async def late() -> None:
        with pytest.raises(DeadlineExceeded, match="outer"):
            await hurried()
        gate.set()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(late)
        await clock.advance(3)
