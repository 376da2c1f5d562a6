"""From a thread of ours to the event loop: one call, whichever backend runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


def loop_caller() -> Callable[[Callable[[], object]], None]:
    """A function by which any thread has the loop that runs here call something soon; silent once the loop is gone."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import trio

        token = trio.lowlevel.current_trio_token()

        def call_on_trio(function: Callable[[], object]) -> None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(function)

        return call_on_trio

    def call_on_asyncio(function: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(function)

    return call_on_asyncio
