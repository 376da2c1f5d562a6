"""A scripted function: fails twice, hangs, then returns."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

import msgspec

from corten.clock import Clock

R = TypeVar("R")


class After(msgspec.Struct, frozen=True):
    """A step that takes time."""

    seconds: float
    """The time by the script's clock."""
    then: object = None
    """The result, or an exception to raise, after that time."""


class Script(Generic[R]):
    """A function with one step for each call: an exception or a result.

    ``Script(OSError("away"), After(5, TimeoutError()), 42)`` fails, takes five seconds and fails, then returns 42. A
    call after the last step raises ``AssertionError``.

    :param steps: exceptions or their types, :class:`After`, or results
    :param clock: measures the seconds of :class:`After`; the machine's clock by default
    """

    def __init__(self, *steps: R | BaseException | type[BaseException] | After, clock: Clock | None = None) -> None:
        self._steps = steps
        self._clock = clock if clock is not None else Clock()
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        """The arguments of each call, in order."""

    def __repr__(self) -> str:
        return f"<Script: {len(self.calls)} of {len(self._steps)} steps done>"

    @property
    def done(self) -> bool:
        """Whether every step was taken."""
        return len(self.calls) >= len(self._steps)

    @property
    def function(self) -> Callable[..., Coroutine[Any, Any, R]]:
        """The async function."""

        async def scripted(*args: Any, **kwargs: Any) -> R:
            step = self._next(args, kwargs)
            if isinstance(step, After):
                await self._clock.sleep(step.seconds)
                step = step.then
            return self._end(step)

        return scripted

    @property
    def function_sync(self) -> Callable[..., R]:
        """The sync function."""

        def scripted(*args: Any, **kwargs: Any) -> R:
            step = self._next(args, kwargs)
            if isinstance(step, After):
                self._clock.block(step.seconds)
                step = step.then
            return self._end(step)

        return scripted

    def _next(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        self.calls.append((args, kwargs))
        if len(self.calls) > len(self._steps):
            raise AssertionError(f"the script has {len(self._steps)} steps and was called once more: {args} {kwargs}")
        return self._steps[len(self.calls) - 1]

    @staticmethod
    def _end(step: object) -> R:
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, type) and issubclass(step, BaseException):
            raise step()
        return cast("R", step)
