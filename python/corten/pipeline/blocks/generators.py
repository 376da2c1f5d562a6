"""Guarding async generators: from before the first item until after the last."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from corten.deadline import within
from corten.pipeline.blocks.held_policies import HeldPolicies, Part, TimeLimit, inputs_of, parts_of
from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers import Layer, PipelineContext, Wrapped
from corten.pipeline.segments.trio_timeouts import deadline_exceeded


class _Late(BaseException):
    """A time limit has passed; inner parts see the iteration cancelled."""


class _StepsLimit:
    """A time limit of all steps together."""

    __slots__ = ("_context", "_seconds", "left", "passed")

    def __init__(self, seconds: float, context: PipelineContext) -> None:
        self._seconds = seconds
        self._context = context
        self.left = seconds
        self.passed = False

    def leave(self, error: BaseException | None) -> BaseException | None:
        return deadline_exceeded(self._context, self._seconds) if self.passed else error


class Iteration:
    """One iteration: a step for each item, in the context and cancel scopes of the iterating code.

    No scope can stay open between steps, for the iterating code may leave its own meanwhile. So a time limit is an
    amount of time that the steps use up; code between them does not count. Observers do not surround an iteration, for
    the current span of tracing, for example, would reach into the code between the steps.
    """

    __slots__ = ("_context", "_generator", "_held", "_inputs", "_limits", "_make", "_parts")

    def __init__(
        self,
        make: Callable[[], AsyncGenerator[Any, Any]],
        context: PipelineContext | None,
        parts: Sequence[Part],
        inputs: tuple[Any, ...],
    ) -> None:
        self._make = make
        self._context = context
        self._parts = parts
        self._inputs = inputs
        self._held = HeldPolicies()
        self._limits: list[_StepsLimit] = []
        self._generator: AsyncGenerator[Any, Any] | None = None

    async def step(self, verb: str, sent: object) -> Any:
        """Return the next item, or ``MISS`` after the last.

        :param verb: ``asend`` or ``athrow``
        """
        try:
            if self._generator is None:
                await self._begin()
                self._generator = self._make()
            if not self._limits:
                return await getattr(self._generator, verb)(sent)
            with self._timed():
                return await getattr(self._generator, verb)(sent)
        except StopAsyncIteration:
            outcome = self._held.leave(None)
        except BaseException as error:
            outcome = self._held.leave(error)
            if outcome is error:
                raise
        if outcome is not None:
            raise outcome
        return MISS

    async def close(self) -> None:
        """End the iteration before the last item, which is no failure."""
        error: BaseException | None = None
        try:
            if self._generator is not None:
                await self._generator.aclose()
        except BaseException as raised:  # noqa: BLE001 - raised again below
            error = raised
        if (outcome := self._held.leave(error)) is not None:
            raise outcome

    async def _begin(self) -> None:
        if self._context is None:
            return
        first = 0
        for part in self._parts:
            if isinstance(part, TimeLimit):
                limit = _StepsLimit(part.seconds, self._context)
                self._limits.append(limit)
                self._held.entered.append(limit)
                continue
            end = first + len(part.inputs)
            with self._timed():
                await self._held.admit(part, self._inputs[first:end])
            first = end

    @contextmanager
    def _timed(self) -> Generator[None]:
        """Use up the time limits, and cancel a step when one has passed."""
        if self._context is None or not self._limits:
            yield
            return
        clock, finished = self._context.clock, False
        limit = min(self._limits, key=lambda each: each.left)
        seconds, began = max(0.0, limit.left), clock.now()
        try:
            with clock.move_on_after(seconds), within(seconds, clock):
                yield
                finished = True
        finally:
            took = clock.now() - began
            for each in self._limits:
                each.left -= took
        if not finished:
            # After a jump of the clock several may have passed; then the outermost decides.
            next((each for each in self._limits if each.left <= 0), limit).passed = True
            raise _Late


def iterating(function: Callable[..., Any], layers: Sequence[Layer], context: PipelineContext) -> Wrapped:
    """Return the wrapper of an async generator function."""
    return _wrapped(function, context, parts_of(layers, context))


def bare(function: Callable[..., Any]) -> Wrapped:
    """Return its wrapper without policies."""
    return _wrapped(function, None, ())


def _wrapped(function: Callable[..., Any], context: PipelineContext | None, parts: tuple[Part, ...]) -> Wrapped:
    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...] = ()) -> Iteration:
        return Iteration(lambda: function(*args, **kwargs), context, parts, inputs)

    names = {"begin": begin, "MISS": MISS, "GeneratorExit": GeneratorExit, "BaseException": BaseException}
    return Wrapped(texts.ITERATED, names, inputs_of(parts))
