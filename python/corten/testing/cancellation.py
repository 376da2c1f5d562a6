"""Cancel an operation at each of its awaits, in separate runs."""

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
    """Run an operation repeatedly, cancelled one event-loop turn later each time.

    The runs end when the operation completes, so it must not wait for time or for other tasks.

    :param check: called after each run; should raise if the run leaked anything
    :param limit: the most runs
    :returns: the number of cancelled runs
    :raises AssertionError: the operation swallowed a cancellation, or never completed
    """
    for turns in range(limit):
        completed = False
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(_cancel_after, turns, scope)
                await operation()
                completed = True
                group.cancel_scope.cancel()
        check()
        if not scope.cancel_called:
            return turns
        # An operation that completed just before its cancellation could not be cancelled any more.
        assert scope.cancelled_caught or completed
    raise AssertionError(f"the operation did not complete within {limit} turns of the event loop")


async def _cancel_after(turns: int, scope: anyio.CancelScope) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    scope.cancel()
