"""The program of `test_real_clock.py`: every policy on the machine's clock, under a bare ``asyncio.run``, or trio's."""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from corten import (
    AdaptiveLimit,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Fallback,
    Hedge,
    Pipeline,
    RateLimit,
    Retry,
    Timeout,
)
from corten.errors import DeadlineExceeded

CALLERS = 8
POLICIES: dict[str, tuple[Any, ...]] = {
    "retry": (Retry(initial_backoff=0.01),),
    "retry in time": (Timeout(5), Retry(initial_backoff=0.01), Timeout(3)),
    "stale, soft limit": (Cache(ttl=0.01, stale=5, soft_timeout=0.002),),
    "stale, hard limit": (Cache(ttl=0.01, stale=5, hard_timeout=3),),
    "early refresh": (Cache(ttl=0.05, early_refresh=50),),
    "bulkhead": (Bulkhead(1, max_waiting=9, max_wait=10),),
    "rate limit": (RateLimit("200/s", burst=1, max_wait=10),),
    "leaky bucket": (RateLimit("200/s", burst=9, algorithm="leaky_bucket", max_wait=10),),
    "hedge": (Hedge(delay=0.001),),
    "hedge by quantile": (Hedge(delay=0.001, quantile=0.9),),
    "fallback": (Fallback(-1),),
    "adaptive limit": (AdaptiveLimit(initial=1, max_waiting=9, max_wait=10),),
    "breaker": (CircuitBreaker(failure_rate=0.9, window="10s", min_calls=5),),
    "all": (
        Fallback(-1),
        Cache(ttl=0.01),
        Timeout(10),
        Retry(initial_backoff=0.01),
        Hedge(delay=0.005),
        CircuitBreaker(failures=50),
        RateLimit("500/s", burst=9, max_wait=10),
        Bulkhead(3, max_waiting=99),
        Timeout(5),
    ),
}


def flaky(failures: int) -> Callable[[int], Coroutine[Any, Any, int]]:
    """Fails so often, then takes ten milliseconds."""
    left = failures

    async def work(number: int) -> int:
        nonlocal left
        if left > 0:
            left -= 1
            raise OSError("away")
        await anyio.sleep(0.01)
        return number

    return work


async def called(policies: tuple[Any, ...], failures: int) -> dict[str, Any]:
    pipeline = Pipeline("real", *policies)
    guarded = pipeline(flaky(failures))
    results: list[int] = []

    async def call(number: int) -> None:
        await anyio.sleep(0.002 * number)
        results.append(await guarded(number % 2))

    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(call, number)
    seen = pipeline.statistics()
    return {"results": len(results), "hedged": sum(seen.hedged.values()), "retries": seen.retries}


async def late() -> list[str]:
    pipeline = Pipeline("late", Timeout(0.05))

    @pipeline
    async def work() -> None:
        await anyio.sleep_forever()

    words: list[str] = []
    try:
        await work()
    except DeadlineExceeded as error:
        words.append(str(error))
    try:
        async with pipeline.guard():
            await anyio.sleep_forever()
    except DeadlineExceeded as error:
        words.append(str(error))
    return words


async def main() -> None:
    found: dict[str, Any] = {
        name: await called(policies, 2 if name in ("retry", "retry in time", "all") else 0)
        for name, policies in POLICIES.items()
    }
    found["late"] = await late()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=UserWarning)  # of orders that nobody would mean
    if sys.argv[1] == "trio":
        import trio

        trio.run(main)
    else:
        asyncio.run(main())
