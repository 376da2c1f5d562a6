"""The running event loop, and calls into it from other threads."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident

__all__ = [
    "from_any_thread",
    "in_event_loop",
    "loop_caller",
    "on_trio",
]


def on_trio() -> bool:
    """Return whether trio runs the current task; never imports trio."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


def in_event_loop() -> bool:
    """Return whether this thread runs an event loop, which blocking would stop."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return on_trio()
    return True


def loop_caller() -> Callable[[Callable[[], object]], None]:
    """Return a function by which any thread calls into this event loop.

    The loop calls what it is given soon; after the loop has ended, nothing happens.
    """
    schedule: Callable[[Callable[[], object]], object]
    if on_trio():
        schedule = sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon
    else:
        import asyncio  # only where a loop runs, which has imported it

        schedule = asyncio.get_running_loop().call_soon_threadsafe

    def call_soon(function: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has ended; trio.RunFinishedError is a RuntimeError too
            schedule(function)

    return call_soon


def from_any_thread(callback: Callable[[], object]) -> Callable[[], None]:
    """Return a function that calls ``callback`` in this event loop.

    From the loop's thread it calls at once, from another thread soon.
    """
    thread, call_soon = get_ident(), loop_caller()

    def call() -> None:
        if get_ident() == thread:
            callback()
        else:
            call_soon(callback)

    return call
