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
    """Counts of a schedule's runs."""

    runs: int
    failures: int
    skipped: int
    """Moments at which the previous run had not ended."""


class Schedule:
    """Calls a function at a fixed interval until it is stopped.

    Runs do not overlap: moments that pass during a run are skipped, and later moments stay as planned. A run that fails
    is logged and counted, and the next run follows at its moment.

    :param interval: seconds from the beginning of one run to the beginning of the next
    :param jitter: the most random seconds added before each run
    :param at_start: whether the first run is at once, rather than after one interval
    :param on_error: called with ``schedule NAME`` and the error of each run that fails
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
        """Call the function until :meth:`stop`."""
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
        """Wait for a moment; return False if stopped before."""
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
        """Begin no more runs; the current run ends by itself."""
        self._is_stopped = True
        if self._stopping is not None:
            self._stopping.set()

    def task(self, phase: Phase = "work") -> Task:
        """Return the schedule as a task."""
        return Task(self.name, self.run, self.stop, phase)

    def statistics(self) -> ScheduleStatistics:
        """Return counts of runs, failures and skipped moments."""
        return ScheduleStatistics(self._runs, self._failures, self._skipped)
