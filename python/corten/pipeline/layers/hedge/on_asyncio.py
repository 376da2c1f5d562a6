"""Hedging on asyncio, with the first attempt in the caller's task.

A call that is not slow pays for an alarm that is cancelled. No cancel scope surrounds the first attempt: a scope must
be entered before the first step, which has been taken when the alarm is set.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any
from weakref import ref

import anyio

from corten._core import Call, pipeline_time_left
from corten.clock import Clock
from corten.pipeline.layers.hedge.alarms import Alarms
from corten.pipeline.layers.hedge.errors import noted

if TYPE_CHECKING:
    import asyncio

    from corten.pipeline.layers.hedge.layer import FunctionHedge

HedgeSlow = Callable[[Call, float, Context, tuple[Any, ...], Mapping[str, Any]], Awaitable[Any]]


def hedge_on_asyncio(hedge: FunctionHedge) -> HedgeSlow:
    """Return the function that takes over calls with a suspended first attempt."""
    here = Here(hedge.pipeline.clock)

    async def hedge_slow(
        call: Call, started: float, context: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        delay = hedge.delay()
        if delay is None:
            await call
            hedge.took(hedge.pipeline.clock.now() - started)
            return call.result()
        race = _Race(hedge, here(), started, delay, context, args, kwargs)
        try:
            await call
        except Exception as error:  # noqa: BLE001 - raised again unless another attempt succeeds
            failed = error
        except BaseException as error:  # noqa: BLE001 - raised again unless it was for another attempt
            return await race.interrupted(error)
        else:
            await race.finish()
            return call.result()
        try:
            if (winner := await race.others()) is not None:
                return winner.result()
            raise noted(hedge.pipeline.name, failed, race.errors)
        finally:
            del failed  # its traceback refers to this frame

    return hedge_slow


_LOST = object()
"""The result of a cancelled attempt."""


class Here:
    """Finds the running loop and its alarms, without keeping the loop alive."""

    __slots__ = ("_clock", "_known", "_running_loop")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: tuple[Callable[[], object], Alarms] = (lambda: self, Alarms(clock))
        """One tuple, so that a thread with another loop never reads parts of two."""
        self._running_loop: Callable[[], asyncio.AbstractEventLoop] | None = None

    def __call__(self) -> tuple[asyncio.AbstractEventLoop, Alarms]:
        if (running_loop := self._running_loop) is None:
            import asyncio  # a loop runs, so it has been imported

            running_loop = self._running_loop = asyncio.get_running_loop
        loop = running_loop()
        known, alarms = self._known
        if known() is not loop:
            alarms = Alarms(self._clock)
            self._known = (ref(loop), alarms)
        return loop, alarms


class _Race:
    """The attempts of one call."""

    __slots__ = (
        "_alarm",
        "_alarms",
        "_args",
        "_begun",
        "_cancelled_host",
        "_cancelling",
        "_context",
        "_deadline",
        "_delay",
        "_first_ended",
        "_hedge",
        "_host",
        "_kwargs",
        "_loop",
        "_running",
        "_started",
        "_winner",
        "errors",
    )

    def __init__(
        self,
        hedge: FunctionHedge,
        here: tuple[asyncio.AbstractEventLoop, Alarms],
        started: float,
        delay: float,
        context: Context,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        from asyncio import current_task

        self._hedge = hedge
        self._started = started
        self._delay = delay
        self._context = context
        self._args = args
        self._kwargs = kwargs
        self._loop, self._alarms = here
        self._host: asyncio.Task[Any] | None = current_task(self._loop)
        self._cancelling = 0 if self._host is None else self._host.cancelling()
        left = pipeline_time_left()  # what `within` set is in the context
        self._deadline = None if left is None else hedge.pipeline.clock.now() + left
        self._begun = 1
        self._running: dict[asyncio.Task[Any], anyio.CancelScope | None] = {}
        """Attempts after the first, with their scopes once they have taken their first step."""
        self.errors: list[Exception] = []
        self._winner: asyncio.Task[Any] | None = None
        self._cancelled_host = False
        """Whether a winner has cancelled the first attempt, in the caller's task."""
        self._first_ended = False
        self._alarm = self._alarms.set(started + delay, self._begin)

    def _begin(self) -> None:
        """Begin another attempt, when the alarm goes off."""
        if self._first_ended or self._winner is not None:
            return
        now = self._hedge.pipeline.clock.now()
        if not self._hedge.may_begin(self._begun + 1, now - self._started):
            return
        self._begun += 1
        # A copy of the context when the call began, without changes of the first attempt since.
        task = self._loop.create_task(self._attempt(), context=self._context.copy())
        self._running[task] = None
        task.add_done_callback(self._ended)
        if self._begun <= self._hedge.policy.max_hedges:
            self._alarm = self._alarms.set(now + self._delay, self._begin)

    async def _attempt(self) -> Any:
        """Run an attempt in a scope, which spares the user's shielded code."""
        from asyncio import current_task

        # Made here: anyio needs a current task to make a scope, and a timer of the loop has none.
        with anyio.CancelScope() as scope:
            task = current_task(self._loop)
            if task is not None:
                self._running[task] = scope
            return await self._hedge.attempt(self._args, self._kwargs, self._deadline)
        return _LOST

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._running[task]
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self.errors.append(error)
        elif error is None and self._winner is None and task.result() is not _LOST:
            self._winner = task
            if not self._first_ended and self._host is not None:
                self._cancelled_host = True
                self._host.cancel()

    async def finish(self) -> None:
        """End all other attempts after the first one returned."""
        self._end_first()
        self._took()
        if self._cancelled_host and self._host is not None:
            self._host.uncancel()
        if self._running:
            await self._end_others()

    async def interrupted(self, error: BaseException) -> Any:
        """Return the winner's result, or raise a cancellation from outside."""
        self._end_first()
        if isinstance(error, GeneratorExit):  # the caller's coroutine is closed, and can't wait
            for task in tuple(self._running):
                task.cancel()
            raise error
        outside = not self._cancelled_host or self._host is None or self._host.uncancel() > self._cancelling
        await self._end_others()
        if outside or self._winner is None:
            if self._cancelled_host:
                # Cancelled from both sides. anyio cancels again at each await, and wants to see its own
                # cancellation; asyncio cancels once, and accepts any.
                await anyio.lowlevel.checkpoint()
            raise error
        self._took()
        self._hedge.won += 1
        return self._winner.result()

    async def others(self) -> asyncio.Task[Any] | None:
        """Return the first other attempt that succeeds, or None."""
        import asyncio

        self._end_first()
        if self._cancelled_host and self._host is not None:
            self._host.uncancel()
        try:
            while self._running and self._winner is None:
                await asyncio.wait(tuple(self._running), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end_others()
        if self._winner is not None:
            self._hedge.won += 1
        return self._winner

    def _end_first(self) -> None:
        """Note that the first attempt has ended; begin no more attempts."""
        self._first_ended = True
        self._alarms.cancel(self._alarm)

    def _took(self) -> None:
        """Record the duration of the first attempt, or a lower bound."""
        self._hedge.took(self._hedge.pipeline.clock.now() - self._started)

    async def _end_others(self) -> None:
        """Cancel running attempts and wait for their end, even if cancelled."""
        import asyncio

        if not self._running:
            return
        others = tuple(self._running)
        for task, scope in tuple(self._running.items()):
            if scope is None:
                task.cancel()  # it has not begun
            else:
                scope.cancel()
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while any(not task.done() for task in others):
                try:
                    await asyncio.wait([task for task in others if not task.done()])
                except asyncio.CancelledError as error:  # asyncio cancels through shields
                    cancelled = error
        if cancelled is not None:
            raise cancelled
