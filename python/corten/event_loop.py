"""Which event loop runs the call, asked without importing one that is not there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import get_ident


def on_trio() -> bool:
    """Whether trio runs the current task."""
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def in_event_loop() -> bool:
    """Whether this thread runs an event loop right now, so that waiting here would stop it."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return on_trio()
    return True


def from_any_thread(callback: Callable[[], object]) -> Callable[[], None]:
    """A callable that calls ``callback`` in this event loop: at once from its own thread, soon from another."""
    thread = get_ident()
    soon: Callable[[Callable[[], object]], object]
    if on_trio():
        soon = sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon
    else:
        import asyncio

        soon = asyncio.get_running_loop().call_soon_threadsafe

    def call() -> None:
        if get_ident() == thread:
            callback()
        else:
            soon(callback)

    return call
