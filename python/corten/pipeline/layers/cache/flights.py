"""Calls under way, shared by all who want their results; and who waits for whom, so that nobody waits for himself."""

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

_maker: ContextVar[Flight | None] = ContextVar("corten_flight", default=None)
"""The flight that this task, or the one that started it, is making."""
_waiting = threading.RLock()
"""HeldPolicies by who looks whether it may wait, so that two threads don't decide at once to wait for each other."""


class Flight:
    """One call under way, for all who want its result.

    What most flights never set is the class's: one is made for every miss.
    """

    refreshing = False
    """Whether it makes anew what is still good."""
    landed = False
    keep = True
    """Whether its result may be kept: not where what it is about was invalidated meanwhile."""
    value: Any = None
    error: Exception | None = None
    traceback: TracebackType | None = None
    ended: anyio.Event | None = None  # made by the first task that waits: mostly nobody does
    lock: threading.Lock | None = None  # held until it ends, where threads wait
    needs: set[Flight] | None = None
    """Those that it waits for, or that are made within it."""

    def is_outdated(self) -> bool:
        """Whether what it is about was invalidated since it began."""
        return not self.keep

    def land(self, value: object) -> None:
        """It has a result."""
        self.value, self.landed = value, True

    def fail(self, error: Exception) -> None:
        """It has none. The error's traceback is cut to what is not ours, for it will be raised in several places."""
        self.error, self.traceback = error, trimmed(error)
        error.__traceback__ = self.traceback

    def end(self) -> None:
        """Whoever waits goes on."""
        if self.ended is not None:
            self.ended.set()
        if self.lock is not None:
            self.lock.release()

    def wait_sync(self) -> None:
        """Wait until it has ended, as a thread."""
        if self.lock is not None:
            with self.lock:
                pass

    async def wait(self) -> None:
        """Wait until it has ended, as a task of its own event loop."""
        if self.ended is None:
            self.ended = anyio.Event()
        await self.ended.wait()


def enter(flight: Flight) -> Flight | None:
    """The flight is what this task or thread makes from now on; others that it comes to are made within it.

    :returns: what it made before, for :func:`leave`
    """
    outer = _maker.get()
    _maker.set(flight)
    if outer is not None:
        _needs(outer).add(flight)
    return outer


def leave(flight: Flight, outer: Flight | None) -> None:
    """The flight is made."""
    # Not by a token: who drops a coroutine may end it in another context, where no token of this one is known.
    _maker.set(outer)
    if outer is not None:
        _needs(outer).discard(flight)


@contextmanager
def waited_for(flight: Flight, function: str) -> Generator[None]:
    """While inside, the flight that is being made here waits for another one.

    :raises CortenError: that one, by way of others or not, waits for this one: it would be for ever
    """
    waiter = _maker.get()
    if waiter is None:
        yield
        return
    with _waiting:
        if _leads_to(flight, waiter):
            raise CortenError(
                f"{function}: a cached call waits for its own result: while it was made, it, or what it calls, called "
                "it again with the same key; take the inner call out, or have it make another key"
            )
        _needs(waiter).add(flight)
    try:
        yield
    finally:
        _needs(waiter).discard(flight)


def _needs(flight: Flight) -> set[Flight]:
    if flight.needs is None:
        flight.needs = set()
    return flight.needs


def _leads_to(start: Flight, goal: Flight) -> bool:
    pending, seen = [start], {start}
    while pending:
        flight = pending.pop()
        if flight is goal:
            return True
        fresh = set(flight.needs or ()) - seen
        seen |= fresh
        pending += fresh
    return False
