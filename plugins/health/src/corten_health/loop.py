"""Lag of the event loop, and a watchdog that logs blocking code."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable

import msgspec

from corten.clock import Clock
from corten.health import Check, Finding
from corten_health.settings import HealthSettings
from corten_health.system import judge

_log = logging.getLogger("corten.health")

INTERVAL = 0.25
"""Seconds between two measurements."""
WINDOW = 10.0
"""Seconds of the worst lag's window."""


class LoopStatistics(msgspec.Struct, frozen=True):
    """Lag of the event loop."""

    lag: float
    """The last measured delay, in seconds."""
    worst: float
    """The longest delay within the window of ten seconds."""
    blocked: int
    """Times the watchdog found the loop blocked."""


class LoopMonitor:
    """Measures how late the event loop wakes a task.

    :param clock: the clock of the lag
    :param blocked_after: real seconds of a blocked loop, after which the watchdog logs the stack; 0: no watchdog
    """

    def __init__(self, clock: Clock, *, blocked_after: float = 0.0) -> None:
        self._clock = clock
        self._lags: deque[tuple[float, float]] = deque()  # (time, lag), by falling lag: the first is the worst
        self._lag = 0.0
        self._watchdog = Watchdog(blocked_after) if blocked_after > 0 else None

    async def run(self) -> None:
        """Measure until cancelled."""
        watchdog = self._watchdog
        if watchdog is not None:
            watchdog.start()
        try:
            while True:
                due = self._clock.now() + INTERVAL
                await self._clock.sleep_until(due)
                now = self._clock.now()
                self._note(now, max(0.0, now - due))
                if watchdog is not None:
                    watchdog.beat()
        finally:
            if watchdog is not None:
                watchdog.stop()

    def statistics(self) -> LoopStatistics:
        """Return the current and the worst lag, and the number of blocks."""
        self._forget(self._clock.now())
        worst = self._lags[0][1] if self._lags else 0.0
        return LoopStatistics(self._lag, worst, self._watchdog.blocked if self._watchdog is not None else 0)

    def check(self, settings: HealthSettings) -> Check:
        """Make a check of the worst lag in ten seconds."""

        async def run() -> Finding:
            figures = self.statistics()
            status = judge(figures.worst, settings.loop_degraded, settings.loop_down)
            message = "" if status == "up" else f"the event loop was {figures.worst:.3g} s late"
            details = {"lag": figures.lag, "worst": figures.worst, "blocked": figures.blocked}
            return Finding(status, message, details)

        return Check("loop", run, fresh=0.0, critical="loop" in settings.critical)

    def _note(self, now: float, lag: float) -> None:
        self._lag = lag
        while self._lags and self._lags[-1][1] <= lag:
            self._lags.pop()
        self._lags.append((now, lag))
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._lags and self._lags[0][0] < now - WINDOW:
            self._lags.popleft()


class Watchdog:
    """A thread that logs the stack of a blocked event loop.

    It uses real time, whatever the App's clock is.

    :param blocked_after: seconds without :meth:`beat`
    """

    def __init__(self, blocked_after: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.blocked = 0
        """The number of times that the loop was blocked."""
        self._after = max(blocked_after, 2 * INTERVAL)
        self._monotonic = monotonic
        self._beat = monotonic()
        self._looked = self._beat
        self._stuck_since: float | None = None
        self._watched = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the calling thread."""
        self._watched = threading.get_ident()
        self._ended.clear()
        self._beat = self._looked = self._monotonic()
        self._thread = threading.Thread(target=self._watch, name="corten-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread at once."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def beat(self) -> None:
        """Note that the loop runs."""
        self._beat = self._monotonic()

    def look(self) -> None:
        """Log once that the loop is blocked, and once that it runs again."""
        now, beat = self._monotonic(), self._beat
        paused = now - self._looked > self._after  # the whole process was stopped, or the machine suspended
        self._looked = now
        if self._stuck_since is not None:
            if beat > self._stuck_since:
                _log.warning("the event loop runs again after %.3g s", beat - self._stuck_since)
                self._stuck_since = None
        elif now - beat > self._after and not paused:
            self._stuck_since = beat
            self.blocked += 1
            _log.warning("the event loop is blocked for %.3g s by:\n%s", now - beat, stack_of(self._watched))

    def _watch(self) -> None:
        while not self._ended.wait(self._after / 4):
            self.look()


def stack_of(thread: int) -> str:
    """Format the stack of a thread, innermost call last, without values."""
    frame = sys._current_frames().get(thread)  # pyright: ignore[reportPrivateUsage]
    return "".join(traceback.format_stack(frame)).rstrip() if frame is not None else "(the thread has ended)"
