"""A call alone and among a thousand tasks."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable

from harness import ROUNDS, check, record
from peers import FULL, bare, guarded, suspend

CALLS = 5_000  # few, so that a round is short and some of them meet a quiet machine
TASKS = 1_000


async def crowd(function: Callable[[int], Awaitable[int]], tasks: int, pause: bool) -> float:
    """Measure a call by several tasks, which take turns if they pause."""

    async def caller() -> None:
        for _ in range(CALLS // tasks):
            await function(1)
            if pause:
                await asyncio.sleep(0)

    start = time.process_time()  # CPU time: the tasks never idle, and other programs use the machine too
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(caller())
    return (time.process_time() - start) * 1e9 / CALLS


async def compare(title: str, function: Callable[[int], Awaitable[int]], pause: bool) -> None:
    functions = {"bare": function, "corten": guarded(function, *FULL)}
    best: dict[tuple[str, int], float] = {}
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS // 2):
        for name, each in functions.items():
            for tasks in (1, TASKS):
                measured = await crowd(each, tasks, pause)
                best[name, tasks] = min(measured, best.get((name, tasks), measured))
    gc.enable()
    figures = {
        "bare await, alone": best["bare", 1],
        f"bare await, {TASKS:,} tasks": best["bare", TASKS],
        "corten, alone": best["corten", 1],
        f"corten, {TASKS:,} tasks": best["corten", TASKS],
    }
    print(f"\n{title}")
    for name, nanoseconds in figures.items():
        print(f"  {name:<24}  {nanoseconds:>12,.1f} ns")
    ours = f"corten, {TASKS:,} tasks"
    record("comparison", title=title, ours=ours, floor=None, over=None, nanoseconds=figures, missing=[])
    check(title, f"a call with {TASKS:,} tasks / alone", figures[ours] / figures["corten, alone"], 1.1, " x")
    alone, among = (best["corten", tasks] - best["bare", tasks] for tasks in (1, TASKS))
    print(f"  added by corten: {alone:.0f} ns alone, {among:.0f} ns with {TASKS:,} tasks")


async def main() -> None:
    await compare("crowd: calls that never suspend, tasks taking turns", bare, pause=True)
    await compare("crowd: calls that suspend once", suspend, pause=False)


if __name__ == "__main__":
    asyncio.run(main())
