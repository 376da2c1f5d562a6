"""Backoff of a consumer: retryable errors, waits, and pauses of fetching."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from corten.clock import Clock
from corten.errors import Refused
from corten.events import Degraded, Event, Recovered
from corten.messages.source import Source

_log = logging.getLogger("corten.messages")

_FINAL_OS_ERRORS = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""Wrong paths and rights stay wrong, unlike servers that are away."""

INITIAL_BACKOFF = 0.1
MAX_BACKOFF = 30.0

_PAUSE_AFTER = 3
"""Failures in a row before fetching pauses: a pause discards what the broker's client has fetched ahead."""


def is_retryable(error: BaseException) -> bool:
    """Return whether a later attempt may succeed, with message and code unchanged.

    An error's attribute ``retryable`` decides. Without it, refusals of a pipeline, time limits and network errors of
    the operating system are retryable. A group of errors is retryable if each of its errors is.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_retryable(each) for each in error.exceptions)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
    marked = getattr(error, "retryable", None)
    if marked is not None:
        return bool(marked)
    return isinstance(error, (Refused, OSError)) and not isinstance(error, _FINAL_OS_ERRORS)


def backoff_seconds(attempt: int, error: BaseException) -> float:
    """Return seconds to wait after an attempt: doubled each time, or ``retry_after``."""
    if isinstance(error, Refused) and error.retry_after is not None:
        return max(error.retry_after, 0.001)
    return min(MAX_BACKOFF, INITIAL_BACKOFF * 2.0 ** min(attempt - 1, 30))


class Backoff:
    """The waits between attempts of a consumer; repeated failures pause fetching.

    :param consumer: named in logs and events
    :param emit: receives `Degraded` when fetching pauses and `Recovered` when it resumes
    """

    def __init__(self, consumer: str, clock: Clock, emit: Callable[[Event], object], source: Source) -> None:
        self._consumer = consumer
        self._clock = clock
        self._emit = emit
        self._source = source
        self._failing = 0
        """Workers whose failures have paused fetching."""
        self._since = 0.0
        self._interrupted = anyio.Event()
        self.reason = ""
        """Why fetching is paused; empty where it is not."""

    async def wait(self, failures: int, error: BaseException, doing: str) -> None:
        """Wait before the next attempt, or until :meth:`interrupt`.

        :param failures: failures of one thing in a row, this one included
        :param doing: the work that failed, for logs and events: ``handling``
        """
        _log.warning("%s: %s failed (attempt %d) and is tried again: %r", self._consumer, doing, failures, error)
        if failures == _PAUSE_AFTER:
            self._failing += 1
            if self._failing == 1:
                self._since = self._clock.now()
                self.reason = f"{doing} failed {failures} times: {type(error).__name__}: {error}"
                self._source.pause()
                self._emit(Degraded(what=self._consumer, reason=self.reason))
        with self._clock.move_on_after(backoff_seconds(failures, error)):
            await self._interrupted.wait()

    def end(self, failures: int) -> None:
        """Resume fetching after a series of failures, if no other worker fails.

        :param failures: the length of the series
        """
        if failures < _PAUSE_AFTER:
            return
        self._failing -= 1
        if self._failing == 0:
            self.reason = ""
            self._source.resume()
            self._emit(Recovered(what=self._consumer, seconds=self._clock.now() - self._since))

    def interrupt(self) -> None:
        """End all waits, so that each waiter checks whether to continue."""
        interrupted, self._interrupted = self._interrupted, anyio.Event()
        interrupted.set()
