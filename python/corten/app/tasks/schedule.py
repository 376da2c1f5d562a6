"""Schedules: a function at an interval, one run at a time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from corten.clock import Clock
from corten.plugins.descriptions import Phase, Task

_log = logging.getLogger("corten.app")


class ScheduleStatistics(msgspec.Struct, frozen=True):
    """How a schedule is doing."""

    runs: int
    failures: int
    skipped: int
    """Moments at which the run before was still under way."""


class Schedule:
    """Calls a function at a fixed interval, first at once, until it is stopped.

    Runs do not overlap: moments that pass while one is under way are skipped, and the beat is kept. A run that fails
    is logged and counted, and the next comes at its moment.

    :param interval: seconds from the beginning of one run to that of the next
    :param jitter: up to so many seconds, drawn anew, are added before each run
    :param at_start: whether the first run is at once, rather than after one interval
    :param on_error: told of each run that fails, with ``schedule`` and its name
    """

    def __init__(
        self,
        name: str,
        function: Callable[[], Awaitable[object]],
        *,
        interval: float,
        clock: Clock,
        jitter: float = 0.0,
        at_start: bool = True,
        on_error: Callable[[str, Exception], object] = lambda _name, _error: None,
    ) -> None:
        if not interval > 0:
            raise ValueError(f"schedule {name!r}: the interval is {interval:g} s; expected more than 0")
        if not 0 <= jitter < interval:
            raise ValueError(f"schedule {name!r}: jitter is {jitter:g} s; expected 0 or more, less than the interval")
        self.name = name
        self._function = function
        self._interval = interval
        self._clock = clock
        self._jitter = jitter
        self._at_start = at_start
        self._on_error = on_error
        self._stopping: anyio.Event | None = None
        self._is_stopped = False
        self._runs = self._failures = self._skipped = 0

    async def run(self) -> None:
        """Keep calling until :meth:`stop`."""
        import random

        self._stopping = anyio.Event()
        due = self._clock.now() + (0.0 if self._at_start else self._interval)
        while not self._is_stopped:
            jitter = random.uniform(0.0, self._jitter) if self._jitter else 0.0  # noqa: S311 - spreading, no secret
            if not await self._reached(due + jitter):
                return
            await self._call()
            missed = int((self._clock.now() - due) // self._interval)
            self._skipped += missed
            due += (missed + 1) * self._interval

    async def _reached(self, moment: float) -> bool:
        """Wait for a moment; False when stopped before."""
        assert self._stopping is not None  # noqa: S101 - for the type checker
        with self._clock.move_on_at(moment):
            await self._stopping.wait()
        return not self._is_stopped

    async def _call(self) -> None:
        self._runs += 1
        try:
            await self._function()
        except Exception as error:  # noqa: BLE001 - a schedule outlives its runs
            self._failures += 1
            _log.exception("schedule %r: run %d failed; the next comes at its moment", self.name, self._runs)
            self._on_error(f"schedule {self.name}", error)

    async def stop(self) -> None:
        """Let the run under way end, and begin no other."""
        self._is_stopped = True
        if self._stopping is not None:
            self._stopping.set()

    def task(self, phase: Phase = "work") -> Task:
        """The schedule as a task."""
        return Task(self.name, self.run, self.stop, phase)

    def statistics(self) -> ScheduleStatistics:
        """Runs, failures and skipped moments."""
        return ScheduleStatistics(self._runs, self._failures, self._skipped)
