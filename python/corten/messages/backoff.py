"""A consumer that can't go on for now: fetching rests, whoever watches is told, and told again when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from corten.clock import Clock
from corten.events import Degraded, Event, Recovered
from corten.messages.failures import wait_before
from corten.messages.source import Source

_log = logging.getLogger("corten.messages")

_PATIENCE = 3
"""Failures in a row before fetching rests: pausing throws away what the broker's client has fetched ahead."""


class Backoff:
    """What all lanes of a consumer share about waiting: the reason, the pause, the signal to wait no longer."""

    def __init__(self, what: str, clock: Clock, emit: Callable[[Event], object], source: Source) -> None:
        self._what = what
        self._clock = clock
        self._emit = emit
        self._source = source
        self._stalled = 0
        self._since = 0.0
        self._disturbed = anyio.Event()
        self.reason = ""
        """Why fetching rests; empty where it does not."""

    async def wait(self, failures: int, error: BaseException, doing: str) -> None:
        """Wait before the next attempt, shorter where the consumer stops or a partition goes to somebody else.

        :param failures: how often the same thing failed in a row, this time included
        """
        _log.warning("%s: %s failed (attempt %d) and is tried again: %r", self._what, doing, failures, error)
        if failures == _PATIENCE:
            self._stalled += 1
            if self._stalled == 1:
                self._since = self._clock.now()
                self.reason = f"{doing} failed {failures} times: {type(error).__name__}: {error}"
                self._source.pause()
                self._emit(Degraded(what=self._what, reason=self.reason))
        with self._clock.move_on_after(wait_before(failures, error)):
            await self._disturbed.wait()

    def over(self, failures: int) -> None:
        """Note that what failed so often in a row is done with; fetching goes on when nothing else stalls."""
        if failures < _PATIENCE:
            return
        self._stalled -= 1
        if self._stalled == 0:
            self.reason = ""
            self._source.resume()
            self._emit(Recovered(what=self._what, seconds=self._clock.now() - self._since))

    def disturb(self) -> None:
        """Let all who wait look again whether they should."""
        disturbed, self._disturbed = self._disturbed, anyio.Event()
        disturbed.set()
