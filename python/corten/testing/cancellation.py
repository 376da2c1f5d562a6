"""Cancelling an operation at each of its awaits, one run after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel


async def cancel_at_each_await(
    operation: Callable[[], Awaitable[object]],
    check: Callable[[], object] = lambda: None,
    *,
    limit: int = 1000,
) -> int:
    """Run an operation again and again, cancelled one turn of the event loop later each time, until it gets through.

    ``check`` is called after each run and should fail when anything leaked. The operation must not wait for time or
    for others, else it never gets through.

    :returns: how many runs were cancelled
    :raises AssertionError: it swallowed a cancellation, or did not get through within ``limit`` runs
    """
    for turns in range(limit):
        got_through = False
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(_cancel_after, turns, scope)
                await operation()
                got_through = True
                group.cancel_scope.cancel()
        check()
        if not scope.cancel_called:
            return turns
        # It may have got through just when it was cancelled: then nobody could have told it any more.
        assert scope.cancelled_caught or got_through
    raise AssertionError(f"the operation did not get through in {limit} turns of the event loop")


async def _cancel_after(turns: int, scope: anyio.CancelScope) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    scope.cancel()
