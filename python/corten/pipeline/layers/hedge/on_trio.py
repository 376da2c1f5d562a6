"""Hedging on trio, with all attempts in one task group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import anyio

from corten.pipeline.layers.hedge.errors import noted

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from corten.pipeline.layers.hedge.layer import FunctionHedge

HedgeAll = Callable[[tuple[Any, ...], Mapping[str, Any]], Awaitable[Any]]


def hedge_on_trio(hedge: FunctionHedge) -> HedgeAll:
    """Return the function that makes hedged calls."""

    async def hedge_all(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        delay = hedge.delay()
        started = hedge.pipeline.clock.now()
        if delay is None:
            result = await hedge.inside(*args, **kwargs)
            hedge.took(hedge.pipeline.clock.now() - started)
            return result
        race = _Race(hedge, started, delay, args, kwargs)
        async with anyio.create_task_group() as group:
            group.start_soon(race.begin_others, group)
            await race.first_attempt()
            await race.decided()
            group.cancel_scope.cancel()
        if race.results:
            attempt, result = race.results[0]
            hedge.won += attempt > 1
            return result
        raise noted(hedge.pipeline.name, race.errors[0], race.errors[1:])

    return hedge_all


class _Race:
    """The attempts of one call."""

    def __init__(
        self, hedge: FunctionHedge, started: float, delay: float, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self._hedge = hedge
        self._started = started
        self._delay = delay
        self._args = args
        self._kwargs = kwargs
        self._deadline = hedge.deadline()
        self._first = anyio.CancelScope()
        self._first_ended = False
        self.errors: list[Exception] = []
        """Errors, the first attempt's in front."""
        self.results: list[tuple[int, Any]] = []
        """Number and result of attempts that succeeded; the first entry wins."""
        self._running = 0
        self._changed = anyio.Event()

    async def first_attempt(self) -> None:
        """Make the first attempt, until it ends or another one succeeds."""
        with self._first:
            try:
                self.results.append((1, await self._hedge.inside(*self._args, **self._kwargs)))
            except Exception as error:  # noqa: BLE001 - raised again unless another attempt succeeds
                self.errors.insert(0, error)
        self._first_ended = True
        if self.results:  # how long it took, or at least would have taken
            self._hedge.took(self._hedge.pipeline.clock.now() - self._started)

    async def begin_others(self, group: TaskGroup) -> None:
        """Begin another attempt after each delay."""
        clock = self._hedge.pipeline.clock
        for attempt in range(2, self._hedge.policy.max_hedges + 2):
            await clock.sleep(self._started + (attempt - 1) * self._delay - clock.now())
            if self._first_ended or self.results:
                return
            if not self._hedge.may_begin(attempt, clock.now() - self._started):
                return
            self._running += 1
            group.start_soon(self._attempt, attempt)

    async def _attempt(self, attempt: int) -> None:
        try:
            result = await self._hedge.attempt(self._args, self._kwargs, self._deadline)
        except Exception as error:  # noqa: BLE001 - noted if no attempt succeeds
            self.errors.append(error)
        else:
            self.results.append((attempt, result))
            self._first.cancel()
        finally:
            self._running -= 1
            self._changed.set()

    async def decided(self) -> None:
        """Wait until an attempt has succeeded, or all have failed."""
        while self._running and not self.results:
            self._changed = anyio.Event()
            await self._changed.wait()
