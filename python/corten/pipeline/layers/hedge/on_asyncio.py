"""Hedging on asyncio: the first attempt runs in the caller's own task, and a task is made only where it is slow.

A call that is not slow pays for an alarm that is taken back. Nothing around the first attempt is a cancel scope: that
would have to be entered before the first step, which has been taken when the alarm is set.
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
    """The function that takes over a call whose first attempt has suspended."""
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
            del failed  # its traceback holds this frame

    return hedge_slow


_LOST = object()
"""What an attempt returns that was cancelled."""


class Here:
    """The running loop's alarms, found quickly while it is always the same; loops are held weakly."""

    __slots__ = ("_clock", "_known", "_running_loop")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: tuple[Callable[[], object], Alarms] = (lambda: self, Alarms(clock))
        """One thing, so that threads with loops of their own never see half of each other's."""
        self._running_loop: Callable[[], asyncio.AbstractEventLoop] | None = None

    def __call__(self) -> tuple[asyncio.AbstractEventLoop, Alarms]:
        if (running_loop := self._running_loop) is None:
            import asyncio  # only where a loop runs, which has imported it

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
        "_asked",
        "_begun",
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
        """Those beside the first, with their scopes once they have taken their first step."""
        self.errors: list[Exception] = []
        self._winner: asyncio.Task[Any] | None = None
        self._asked = False
        """Whether the caller's task was asked to let go of the first attempt."""
        self._first_ended = False
        self._alarm = self._alarms.set(started + delay, self._begin)

    def _begin(self) -> None:
        """The timer went off: another attempt."""
        if self._first_ended or self._winner is not None:
            return
        now = self._hedge.pipeline.clock.now()
        if not self._hedge.may_begin(self._begun + 1, now - self._started):
            return
        self._begun += 1
        # A context of its own, as it was when the call began: not with what the first attempt has set since.
        task = self._loop.create_task(self._attempt(), context=self._context.copy())
        self._running[task] = None
        task.add_done_callback(self._ended)
        if self._begun <= self._hedge.policy.max_hedges:
            self._alarm = self._alarms.set(now + self._delay, self._begin)

    async def _attempt(self) -> Any:
        """Cancelled by a scope, so that what the user shields stays shielded."""
        from asyncio import current_task

        # Made here: anyio makes no scope in a timer of the loop, where no task is the current one.
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
                self._asked = True
                self._host.cancel()

    async def finish(self) -> None:
        """The first attempt returned: that is the result, and no other is left."""
        self._let_go()
        self._took()
        if self._asked and self._host is not None:
            self._host.uncancel()
        if self._running:
            await self._end_others()

    async def interrupted(self, error: BaseException) -> Any:
        """The first attempt was cancelled: for another one that was faster, or from outside."""
        self._let_go()
        if isinstance(error, GeneratorExit):  # nobody can wait any more
            for task in tuple(self._running):
                task.cancel()
            raise error
        outside = not self._asked or self._host is None or self._host.uncancel() > self._cancelling
        await self._end_others()
        if outside or self._winner is None:
            if self._asked:
                # Both at once. Who cancels by level, as anyio does, says so again at the next await, and wants to
                # meet its own cancellation; who cancels once is content with any.
                await anyio.lowlevel.checkpoint()
            raise error
        self._took()
        self._hedge.won += 1
        return self._winner.result()

    async def others(self) -> asyncio.Task[Any] | None:
        """The first attempt failed: that of the others which still succeeds; None where none does."""
        import asyncio

        self._let_go()
        if self._asked and self._host is not None:
            self._host.uncancel()
        try:
            while self._running and self._winner is None:
                await asyncio.wait(tuple(self._running), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end_others()
        if self._winner is not None:
            self._hedge.won += 1
        return self._winner

    def _let_go(self) -> None:
        """The first attempt is over, by whatever."""
        self._first_ended = True
        self._alarms.take_back(self._alarm)

    def _took(self) -> None:
        """As long as the first attempt took, or would have taken at least: a quantile learns from both."""
        self._hedge.took(self._hedge.pipeline.clock.now() - self._started)

    async def _end_others(self) -> None:
        """Cancel what is under way and wait until it is over, whoever cancels us meanwhile."""
        import asyncio

        if not self._running:
            return
        others = tuple(self._running)
        for task, scope in tuple(self._running.items()):
            if scope is None:
                task.cancel()  # it has not begun, and never will
            else:
                scope.cancel()
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while any(not task.done() for task in others):
                try:
                    await asyncio.wait([task for task in others if not task.done()])
                except asyncio.CancelledError as error:  # asyncio's own, which no shield keeps away
                    cancelled = error
        if cancelled is not None:
            raise cancelled
