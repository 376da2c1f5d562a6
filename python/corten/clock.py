"""Time as Corten sees it: one monotonic clock for limits, TTLs, breakers, backoff, timeouts and schedules."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import anyio

from corten import _core

__all__ = [
    "Clock",
    "TimerHandle",
]

LONGEST = 1e9
"""The longest that a thread is blocked at a time, in seconds: thirty years; beyond three hundred systems refuse."""


class TimerHandle(Protocol):
    """What :meth:`Clock.call_at` gives back."""

    def cancel(self) -> None:
        """Forget the call; harmless when it was made already."""
        ...


class Clock:
    """Monotonic seconds since an origin of the clock's own; the machine's time.

    Shared by Rust and Python: ``core`` is what the compiled policies read. `corten.testing.FakeClock` is the one that
    a test moves.
    """

    def __init__(self, core: _core.Clock | None = None) -> None:
        self.core = core if core is not None else _core.Clock()
        self.now: Callable[[], float] = self.core.now
        """The time now, in seconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds of this clock; always a checkpoint, also for zero or less."""
        await anyio.sleep(max(0.0, seconds))

    def block(self, seconds: float) -> None:
        """Block this thread for a number of seconds of this clock; for plain functions, in threads without a loop."""
        time.sleep(min(max(0.0, seconds), LONGEST))

    async def sleep_until(self, deadline: float) -> None:
        """Wait until this clock shows ``deadline``; always a checkpoint."""
        await self.sleep(deadline - self.now())

    def call_at(self, deadline: float, callback: Callable[[], object]) -> TimerHandle:
        """Call ``callback`` on the running asyncio loop when this clock shows ``deadline``.

        The loop goes by a clock of its own, from which this one may differ by some parts in ten thousand: so much of
        the time it may be called early, and who minds looks at the clock again.

        asyncio only: on trio a cancel scope (:meth:`move_on_at`) does what a timer would.

        :raises RuntimeError: no asyncio loop is running in this thread
        """
        import asyncio  # only where a loop runs, which has imported it

        loop = asyncio.get_running_loop()
        return loop.call_at(loop.time() + (deadline - self.now()), callback)

    @contextmanager
    def move_on_at(self, deadline: float) -> Generator[anyio.CancelScope, None, None]:
        """Cancel what is inside when this clock shows ``deadline``; ``scope.cancelled_caught`` tells."""
        with anyio.CancelScope(deadline=anyio.current_time() + (deadline - self.now())) as scope:
            yield scope

    def move_on_after(self, seconds: float) -> AbstractContextManager[anyio.CancelScope]:
        """Cancel what is inside after a number of seconds of this clock."""
        return self.move_on_at(self.now() + seconds)
