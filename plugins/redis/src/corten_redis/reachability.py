"""Tracks whether the server can be reached, so that callers need not try."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from corten.clock import Clock

_log = logging.getLogger("corten.redis")


class Reachability:
    """Goes down when the server is away, and up when a background probe reaches it.

    While it is down callers are refused at once, and one probe runs each interval. A command without an answer in time
    may only have been slow: a probe then decides.

    :param probe: reaches the server once, or raises
    :param interval: seconds from the end of one probe to the next
    :param on_change: told ``(True, "")`` when the server is back and ``(False, reason)`` when it is gone
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        interval: float,
        on_change: Callable[[bool, str], object],
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._interval = interval
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self.up = True
        self.reason = ""
        self.since = clock.now()
        """When it went up or down, by the clock."""
        self.probes = 0

    def lost(self, reason: str) -> None:
        """The server was found away."""
        self._go_down(reason)
        self._watch(at_once=False)

    def suspect(self) -> None:
        """Probe the server after a command got no answer in time."""
        self._watch(at_once=True)

    async def close(self) -> None:
        """End the probe under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])  # which does not take our own cancellation for the task's

    def _watch(self, *, at_once: bool) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._until_up(at_once=at_once))

    async def _until_up(self, *, at_once: bool) -> None:
        if not at_once:
            await self._clock.sleep(self._interval)
        while True:
            self.probes += 1
            try:
                await self._probe()
            except Exception as error:  # noqa: BLE001 - whatever it is, the server is not reached
                self._go_down(str(error) or type(error).__name__)
            else:
                self._go_up()
                return
            await self._clock.sleep(self._interval)

    def _go_down(self, reason: str) -> None:
        self.reason = reason
        if self.up:
            self.up, self.since = False, self._clock.now()
            _log.warning("redis is away: %s", reason)
            self._on_change(False, reason)

    def _go_up(self) -> None:
        if not self.up:
            seconds = self._clock.now() - self.since
            self.up, self.reason, self.since = True, "", self._clock.now()
            _log.info("redis is back after %.3g s", seconds)
            self._on_change(True, "")
