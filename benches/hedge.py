"""A hedge around quick calls, next to tasks and task groups."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from harness import Case, compare_here
from peers import bare, guarded, suspend

from corten import Hedge


def in_tasks(function: Callable[[int], Awaitable[int]]) -> Callable[[int], Awaitable[int]]:
    """Run the attempt in a task, and wait with a time limit."""

    async def call(x: int) -> int:
        first = asyncio.ensure_future(function(x))
        done, _ = await asyncio.wait([first], timeout=30)
        return done.pop().result()

    return call


def in_a_group(function: Callable[[int], Awaitable[int]]) -> Callable[[int], Awaitable[int]]:
    """Run the attempt in a task group, beside a sleeping task."""

    async def call(x: int) -> int:
        result = 0
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 30)
            result = await function(x)
            group.cancel_scope.cancel()
        return result

    return call


def call(function: Callable[..., Any]) -> Case:
    return Case("await call(1)", call=function)


async def main() -> None:
    for name, function in (("never suspends", bare), ("suspends once", suspend)):
        await compare_here(
            f"hedge, the first attempt returns before the delay, {name}",
            {
                "bare await": call(function),
                "corten, no policy": call(guarded(function)),
                "corten": call(guarded(function, Hedge(delay=30))),
                "corten: after a quantile": call(
                    guarded(function, Hedge(delay=30, quantile=0.95, min_samples=1_000_000))
                ),
                "a task and asyncio.wait": call(in_tasks(function)),
                "anyio's task group": call(in_a_group(function)),
            },
            floor="bare await",
        )


if __name__ == "__main__":
    asyncio.run(main())
