"""How many run, who waits, and that no place is lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import anyio
import anyio.to_thread
import pytest

from corten.errors import BulkheadFull, DeadlineExceeded
from corten.pipeline import Pipeline
from corten.policies import Bulkhead, CircuitBreaker, RateLimit, Retry, Timeout
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


async def test_places_go_in_the_order_of_the_queue(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=2))
    order: list[int] = []
    gates = [anyio.Event() for _ in range(3)]

    @guard
    async def work(number: int) -> None:
        order.append(number)
        await gates[number].wait()

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull, match="as many calls as are allowed"):
            await work(9)
        assert guard.statistics().bulkheads[0].waiting == 2
        for number in range(3):
            assert order == list(range(number + 1))
            gates[number].set()
            await anyio.wait_all_tasks_blocked()
    assert (guard.statistics().bulkheads[0].running, guard.statistics().bulkheads[0].waiting) == (0, 0)


async def test_who_waits_too_long_is_refused(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=1, max_wait=3))
    gate = anyio.Event()

    @guard
    async def work() -> None:
        await gate.wait()

    async def late() -> None:
        with pytest.raises(BulkheadFull, match="no place came free"):
            await work()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(late)
        await clock.advance(3)
        assert guard.statistics().bulkheads[0].waiting == 0
        gate.set()


async def test_a_time_limit_outside_holds_in_the_queue(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Timeout(2), Bulkhead(1, max_waiting=1))
    gate = anyio.Event()

    @guard
    async def work() -> None:
        await gate.wait()

    async def late(seconds: list[float]) -> None:
        with pytest.raises(DeadlineExceeded):
            await work()
        seconds.append(clock.now() - 1000)

    seconds: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(late, seconds)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(late, seconds)
        await clock.advance(2)
    assert seconds == [2, 2]
    assert guard.statistics().timeouts == 2
    assert (guard.statistics().bulkheads[0].running, guard.statistics().bulkheads[0].waiting) == (0, 0)


async def test_a_cancelled_waiter_leaves_the_queue_or_hands_its_place_on(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=5))
    gate = anyio.Event()
    done: list[int] = []

    @guard
    async def work(number: int) -> None:
        await gate.wait()
        done.append(number)

    async def cancellable(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            await work(number)

    async with anyio.create_task_group() as group:
        scopes = [anyio.CancelScope() for _ in range(4)]
        for number, scope in enumerate(scopes):
            group.start_soon(cancellable, number, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[2].cancel()
        await anyio.wait_all_tasks_blocked()
        assert guard.statistics().bulkheads[0].waiting == 2
        # Number 0 leaves, number 1 is granted the place and cancelled before it has run.
        scopes[0].cancel()
        scopes[1].cancel()
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert done == [3]
    assert (guard.statistics().bulkheads[0].running, guard.statistics().bulkheads[0].waiting) == (0, 0)


async def test_cancelled_at_each_await_it_leaks_nothing(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(
        RateLimit("1000/s", burst=1000), Timeout(9), Retry(wait=0), CircuitBreaker(), Bulkhead(1, max_waiting=3)
    )
    attempts = 0

    @guard
    async def work() -> None:
        nonlocal attempts
        attempts += 1
        await anyio.lowlevel.checkpoint()
        if attempts % 2:
            raise OSError
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()

    async def three() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(work)

    def check() -> None:
        seen = guard.statistics()
        assert (seen.bulkheads[0].running, seen.bulkheads[0].waiting) == (0, 0)
        assert seen.breakers[0].state == "closed"

    assert await cancel_at_each_await(three, check) > 5


async def test_a_place_given_back_by_another_thread_wakes_the_waiter(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=1))
    entered, leave = threading.Event(), threading.Event()

    @guard
    def hold() -> None:
        entered.set()
        leave.wait(10)

    @guard
    async def work() -> int:
        return 7

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, hold)
        await anyio.to_thread.run_sync(entered.wait, 10)
        results: list[int] = []

        async def run() -> None:
            results.append(await work())

        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        assert results == []
        leave.set()
    assert results == [7]


def test_threads_lose_no_place_and_no_count(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(
        Bulkhead(3), CircuitBreaker(failures=10**9), RateLimit("1000000000/s", burst=10**9), Retry(max_attempts=1)
    )
    inside = 0
    most = 0

    @guard
    def work(number: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1
        if number % 3 == 0:
            raise ValueError

    def hammer() -> None:
        for number in range(2000):
            with contextlib.suppress(ValueError, BulkheadFull):
                work(number)

    threads = [threading.Thread(target=hammer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = guard.statistics()
    assert seen.calls == 12000
    assert seen.bulkheads[0].running == 0


async def test_a_larger_bulkhead_wakes_who_waits(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=5))
    gate = anyio.Event()
    running: list[int] = []

    @guard
    async def work(number: int) -> None:
        running.append(number)
        await gate.wait()

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(work, number)
        await anyio.wait_all_tasks_blocked()
        guard.configure([Bulkhead(3, max_waiting=5)])
        await anyio.wait_all_tasks_blocked()
        assert sorted(running) == [0, 1, 2]
        gate.set()
