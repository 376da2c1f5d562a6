"""Single flight: callers of one key share one call, and no call waits for its own result."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import anyio

from corten.errors import CortenError
from corten.pipeline.functions.traceback import trimmed

_current: ContextVar[Flight | None] = ContextVar("corten_flight", default=None)
"""The flight that the current task or thread makes, or that the task which started it makes."""
_waiting = threading.RLock()
"""Held while a waiter looks for a circle, so that two threads don't decide at once to wait for each other."""


class Flight:
    """One call under way, shared by all callers of its key.

    Defaults are attributes of the class, because a flight is made for every miss and sets few of them.
    """

    refreshing = False
    """Whether the call replaces a result that is still good."""
    succeeded = False
    keep = True
    """Whether the result may be kept; False once the key was invalidated."""
    value: Any = None
    error: Exception | None = None
    traceback: TracebackType | None = None
    ended: anyio.Event | None = None  # made by the first task that waits: most flights have none
    lock: threading.Lock | None = None  # held until the flight ends, where threads wait
    depends_on: set[Flight] | None = None
    """The flights that this flight waits for, and the flights made within it."""

    def is_outdated(self) -> bool:
        """Return whether the key was invalidated since the flight began."""
        return not self.keep

    def succeed(self, value: object) -> None:
        """Set the result."""
        self.value, self.succeeded = value, True

    def fail(self, error: Exception) -> None:
        """Set the error, its traceback without Corten's frames, as it will be raised in several places."""
        self.error, self.traceback = error, trimmed(error)
        error.__traceback__ = self.traceback

    def end(self) -> None:
        """Wake all waiters."""
        if self.ended is not None:
            self.ended.set()
        if self.lock is not None:
            self.lock.release()

    def wait_sync(self) -> None:
        """Block this thread until the flight has ended."""
        if self.lock is not None:
            with self.lock:
                pass

    async def wait(self) -> None:
        """Wait until the flight has ended, in a task of the flight's event loop."""
        if self.ended is None:
            self.ended = anyio.Event()
        await self.ended.wait()


def enter(flight: Flight) -> Flight | None:
    """Make this the current flight of this task or thread, and return the one before, for :func:`leave`."""
    outer = _current.get()
    _current.set(flight)
    if outer is not None:
        _depends_on(outer).add(flight)
    return outer


def leave(flight: Flight, outer: Flight | None) -> None:
    """Make the outer flight current again."""
    # Not by a token: a dropped coroutine may be closed in another context, where a token of this one is not valid.
    _current.set(outer)
    if outer is not None:
        _depends_on(outer).discard(flight)


@contextmanager
def waiting_for(flight: Flight, function: str) -> Generator[None]:
    """Record, while inside, that the current flight waits for another one.

    :raises CortenError: the other flight waits for the current one, directly or not: the wait would never end
    """
    waiter = _current.get()
    if waiter is None:
        yield
        return
    with _waiting:
        if _leads_to(flight, waiter):
            raise CortenError(
                f"{function}: a cached call waits for its own result: while it was made, it, or a function that it "
                "calls, called it again with the same key; remove the inner call, or give it another key"
            )
        _depends_on(waiter).add(flight)
    try:
        yield
    finally:
        _depends_on(waiter).discard(flight)


def _depends_on(flight: Flight) -> set[Flight]:
    if flight.depends_on is None:
        flight.depends_on = set()
    return flight.depends_on


def _leads_to(start: Flight, goal: Flight) -> bool:
    pending, seen = [start], {start}
    while pending:
        flight = pending.pop()
        if flight is goal:
            return True
        fresh = set(flight.depends_on or ()) - seen
        seen |= fresh
        pending += fresh
    return False
