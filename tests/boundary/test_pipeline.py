"""Threads on one pipeline of the core lose nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import Bulkhead, CircuitBreaker, Fallback, RateLimit, Retry
from corten.policies.combined.policy import Policy


def test_threads_with_loops_of_their_own_lose_no_permit_and_no_count() -> None:
    guard = Pipeline(
        "p",
        Retry(max_attempts=2, initial_backoff=0),
        CircuitBreaker(failures=10**9),
        RateLimit("1000000000/s", burst=10**9),
        Bulkhead(100),
        registry=Registry(),
    )
    tried: set[tuple[int, int]] = set()

    @guard
    async def work(thread: int, number: int) -> int:
        if number % 5 == 0:
            await asyncio.sleep(0)
        attempt = (thread, number)
        if number % 7 == 0 and attempt not in tried:
            tried.add(attempt)
            raise OSError
        return number

    async def many(thread: int) -> None:
        for start in range(0, 1000, 20):
            numbers = range(start, start + 20)
            assert await asyncio.gather(*(work(thread, number) for number in numbers)) == list(numbers)

    threads = [threading.Thread(target=lambda own=number: asyncio.run(many(own))) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = guard.statistics()
    assert seen.bulkheads[0].running == 0
    assert (seen.calls, seen.successes, seen.retries) == (4000, 4000, 4 * 143)


async def _slowly(_: Exception) -> None:
    await asyncio.sleep(100)


@pytest.mark.parametrize("policy", [Retry(initial_backoff=100), Fallback(call=_slowly)])
def test_an_abandoned_call_that_keeps_an_error_is_collected(policy: Policy) -> None:
    class Service:
        task: asyncio.Task[None]

    def abandon() -> weakref.ref[Service]:
        service, loop = Service(), asyncio.new_event_loop()

        @Pipeline("p", policy)
        async def work(_: Service) -> None:
            await asyncio.sleep(0)
            raise OSError  # whose traceback has the service, and that the task

        async def begin() -> None:
            service.task = asyncio.ensure_future(work(service))
            for _ in range(5):
                await asyncio.sleep(0)
            service.task._log_destroy_pending = False  # type: ignore[attr-defined]

        loop.run_until_complete(begin())
        loop.close()
        return weakref.ref(service)

    service = abandon()
    gc.collect()
    assert service() is None
