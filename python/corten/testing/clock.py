"""A clock that only a test moves."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
import anyio.lowlevel

from corten import _core
from corten.clock import Clock, TimerHandle

_TURNS = 10


class _Timer:
    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock(Clock):
    """Time that stands still until :meth:`advance`, in Rust and in Python.

    :param start: the first time in seconds
    """

    def __init__(self, start: float = 1000.0) -> None:
        super().__init__(_core.Clock.fake(start))
        self._timers: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()

    def call_at(self, deadline: float, callback: Callable[[], object]) -> TimerHandle:
        """Call ``callback`` when the clock reaches ``deadline``; on any event loop."""
        timer = _Timer(callback)
        heapq.heappush(self._timers, (deadline, next(self._order), timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        moved = anyio.Event()
        timer = self.call_at(self.now() + seconds, moved.set)
        try:
            await moved.wait()
        finally:
            timer.cancel()

    def block(self, seconds: float) -> None:
        """Move the clock itself: a blocked thread cannot wait for a test."""
        self.tick(max(0.0, seconds))

    @contextmanager
    def move_on_at(self, deadline: float) -> Generator[anyio.CancelScope, None, None]:
        with anyio.CancelScope() as scope:
            timer = self.call_at(deadline, scope.cancel)
            if deadline <= self.now():
                scope.cancel()
            try:
                yield scope
            finally:
                timer.cancel()

    def tick(self, seconds: float) -> None:
        """Move the time and make due calls, without running other tasks."""
        end = self.now() + seconds
        while self._fire_next(end):
            pass
        self.core.advance(max(0.0, end - self.now()))

    async def advance(self, seconds: float) -> None:
        """Move the time; let all tasks run around each due call."""
        end = self.now() + seconds
        await _run_all_tasks()
        while self._fire_next(end):
            await _run_all_tasks()
        self.core.advance(max(0.0, end - self.now()))
        await _run_all_tasks()

    def _fire_next(self, end: float) -> bool:
        """Fire the next timer not after ``end``; return False without one."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        if not self._timers or self._timers[0][0] > end:
            return False
        deadline, _, timer = heapq.heappop(self._timers)
        self.core.advance(max(0.0, deadline - self.now()))
        while self.now() < deadline:  # nanoseconds are rounded: never fire early
            self.core.advance(1e-9)
        timer.callback()
        return True


async def _run_all_tasks() -> None:
    """Let every task run until all tasks wait.

    On asyncio ``wait_all_tasks_blocked`` sleeps a tenth of a second if it finds a task that can run; so tasks first get
    some turns.
    """
    for _ in range(_TURNS):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()
