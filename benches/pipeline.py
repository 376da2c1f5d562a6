"""A call under policies, next to other libraries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from harness import ROUNDS, Case, check, compare_here
from peers import CACHES, FULL, STACKS, bare, frame, guarded, suspend

from corten import Cache, RateLimit


async def compare(title: str, cases: dict[str, Case | None], **options: Any) -> dict[str, float]:
    """Compare cases after one call of each, which makes and imports things."""
    for case in cases.values():
        if case is not None:
            await case.names["call"](0)  # type: ignore[operator]
    return await compare_here(title, cases, **options)


def call(function: Callable[..., Any] | None) -> Case | None:
    return None if function is None else Case("await call(1)", call=function)


async def success() -> None:
    cases = {
        "bare await": call(bare),
        "a frame that only awaits": call(frame),
        "corten": call(guarded(bare, *FULL)),
        "corten, without policies": call(guarded(bare)),
        **{name: call(stack(bare)) for name, stack in STACKS.items()},
    }
    await compare(
        "pipeline: success that never suspends (limit, breaker, bulkhead, retry, timeout, metrics)",
        cases,
        floor="bare await",
        targets={"bare await": 3.5},
    )


async def suspending() -> None:
    title = "pipeline: success that suspends once (the same policies)"
    cases = {
        "bare await": call(suspend),
        "corten": call(guarded(suspend, *FULL)),
        "corten, without the timeout": call(guarded(suspend, *FULL[:-1])),
        "corten, without policies": call(guarded(suspend)),
        **{name: call(stack(suspend)) for name, stack in STACKS.items()},
    }
    # Corten adds a seventh of the measured time, so it takes more rounds to see.
    figures = await compare(title, cases, floor="bare await", rounds=ROUNDS * 4)
    check(title, "added by corten", figures["corten"] - figures["bare await"], 700, " ns")


async def keyed() -> None:
    cases = {
        "bare await": call(bare),
        "corten": call(guarded(bare, *FULL[:2], RateLimit("1000000/s", burst=10**6, key="x"), *FULL[3:])),
    }
    await compare("pipeline: the same with a limit for each key", cases, floor="bare await")


async def hits() -> None:
    cases = {
        "bare await": call(bare),
        "corten": call(guarded(bare, Cache(ttl=3600), *FULL)),
        **{name: call(cached(bare)) for name, cached in CACHES.items()},
    }
    await compare("pipeline: awaited cache hit", cases, floor="bare await", targets={"bare await": 1.7})


async def misses() -> None:
    """Measure cache misses: each call has another key."""

    def missing(function: Callable[..., Any] | None) -> Case | None:
        if function is None:
            return None
        serial = iter(range(10**12))
        return Case("await call(serial())", call=function, serial=serial.__next__, baseline="serial()")

    cases = {
        "bare await": missing(bare),
        "corten": missing(guarded(bare, Cache(ttl=3600))),
        **{name: missing(cached(bare)) for name, cached in CACHES.items()},
    }
    await compare("pipeline: cache miss, full cache", cases, floor="bare await")


async def main() -> None:
    await success()
    await suspending()
    await keyed()
    await hits()
    await misses()


if __name__ == "__main__":
    asyncio.run(main())
