"""The clock: monotonic time for everything in Corten."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import anyio

from corten import _core

__all__ = ["Clock", "TimerHandle"]

LONGEST = 1e9
"""The most seconds to block a thread at once: thirty years; systems refuse three hundred."""


class TimerHandle(Protocol):
    """A timer of :meth:`Clock.call_at`."""

    def cancel(self) -> None:
        """Cancel the call; no effect after it was made."""
        ...


class Clock:
    """Monotonic seconds since an origin of its own: the machine's time.

    Rust and Python share it: the compiled policies read ``core``. Tests move a `corten.testing.FakeClock`.
    """

    def __init__(self, core: _core.Clock | None = None) -> None:
        self.core = core if core is not None else _core.Clock()
        self.now: Callable[[], float] = self.core.now
        """Returns the time in seconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds; also a checkpoint for zero."""
        await anyio.sleep(max(0.0, seconds))

    def block(self, seconds: float) -> None:
        """Block this thread for seconds; for threads without an event loop."""
        time.sleep(min(max(0.0, seconds), LONGEST))

    async def sleep_until(self, deadline: float) -> None:
        """Wait until this clock shows ``deadline``; always a checkpoint."""
        await self.sleep(deadline - self.now())

    def call_at(self, deadline: float, callback: Callable[[], object]) -> TimerHandle:
        """Call ``callback`` on the running asyncio loop when this clock shows ``deadline``.

        The call may be early by one part in ten thousand, for the loop's clock differs from this one: a callback that
        must not be early checks the clock again.

        asyncio only; on trio use a cancel scope (:meth:`move_on_at`).

        :raises RuntimeError: no asyncio loop is running in this thread
        """
        import asyncio  # only where a loop runs, which has imported it

        loop = asyncio.get_running_loop()
        return loop.call_at(loop.time() + (deadline - self.now()), callback)

    @contextmanager
    def move_on_at(self, deadline: float) -> Generator[anyio.CancelScope, None, None]:
        """Cancel the block when this clock shows ``deadline``.

        ``scope.cancelled_caught`` says whether the block was cancelled.
        """
        with anyio.CancelScope(deadline=anyio.current_time() + (deadline - self.now())) as scope:
            yield scope

    def move_on_after(self, seconds: float) -> AbstractContextManager[anyio.CancelScope]:
        """Cancel the block after a number of seconds."""
        return self.move_on_at(self.now() + seconds)
