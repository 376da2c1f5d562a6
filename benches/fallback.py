"""A fallback around calls, next to a try statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from harness import Case, compare_here, optional
from peers import bare, guarded

from corten import Fallback

pyresilience = optional("pyresilience")


async def fails(x: int) -> int:
    raise LookupError(x)


def zero(_error: Exception) -> int:
    return 0


def tried(function: Callable[[int], Awaitable[int]]) -> Callable[[int], Awaitable[int]]:
    """Guard a function without a library."""

    async def call(x: int) -> int:
        try:
            return await function(x)
        except Exception:  # noqa: BLE001 - as a fallback does
            return 0

    return call


def under_pyresilience(function: Callable[..., Any]) -> Callable[..., Any] | None:
    if pyresilience is None:
        return None
    decorated: Callable[..., Any] = pyresilience.resilient(
        fallback=pyresilience.FallbackConfig(handler=0, fallback_on=(Exception,))
    )(function)
    return decorated


def call(function: Callable[..., Any] | None) -> Case | None:
    return None if function is None else Case("await call(1)", call=function)


async def main() -> None:
    for name, function in (("succeeds", bare), ("fails", fails)):
        cases = {
            "try and except": call(tried(function)),
            "corten": call(guarded(function, Fallback(0))),
            "corten: a function": call(guarded(function, Fallback(call=zero))),
            "pyresilience": call(under_pyresilience(function)),
        }
        if function is bare:
            cases = {
                "bare await": call(bare),
                "corten, no policy": call(guarded(bare)),
                "corten: the last good result": call(guarded(bare, Fallback(last_good=True))),
                **cases,
            }
        await compare_here(f"fallback, the call {name}", cases, floor=next(iter(cases)))


if __name__ == "__main__":
    asyncio.run(main())
