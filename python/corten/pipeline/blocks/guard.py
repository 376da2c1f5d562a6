"""Guarding blocks of code: ``async with pipeline.guard():``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from corten.deadline import within
from corten.errors import CortenError
from corten.pipeline.blocks.held_policies import (
    Entered,
    HeldPolicies,
    Part,
    TimeLimit,
    input_values,
    inputs_of,
    objection,
    parts_of,
)
from corten.pipeline.layers import Layer, PipelineContext
from corten.pipeline.segments.segment import observation
from corten.pipeline.segments.trio_timeouts import deadline_exceeded
from corten.policies.combined.policy import Policy


class Blocks:
    """The parts that all blocks under the same policies hold."""

    def __init__(
        self,
        context: PipelineContext,
        parts: Sequence[Part],
        observe: Callable[[], AbstractContextManager[object]] | None = None,
    ) -> None:
        self.context = context
        self.parts = parts
        self.observe = observe
        self.has_inputs = bool(inputs_of(parts))
        self.has_time_limit = any(isinstance(part, TimeLimit) for part in parts)
        self.without_inputs: Sequence[tuple[Part, tuple[Any, ...]]] = tuple((part, ()) for part in parts)


def blocks(policies: Sequence[Policy], layers: Sequence[Layer], context: PipelineContext) -> Blocks:
    """Return the parts of blocks under policies, from their layers.

    :raises ValueError: a policy can't guard a block
    """
    if (wrong := objection(policies, "a block")) is not None:
        raise ValueError(f"pipeline {context.name!r}: {wrong}")
    return Blocks(context, parts_of(layers, context), observation(context, "guard") if context.observers else None)


class Guard:
    """One block under a pipeline's policies, entered once.

    :param values: inputs of keyed limits, costs and priorities, by parameter
    """

    __slots__ = ("_blocks", "_entered", "_held", "_values")

    def __init__(self, blocks: Blocks, values: dict[str, Any]) -> None:
        self._blocks = blocks
        self._values = values
        self._held = HeldPolicies()
        self._entered = False

    async def __aenter__(self) -> None:
        parts = self._begin()
        held, context = self._held, self._blocks.context
        try:
            for part, inputs in parts:
                if isinstance(part, TimeLimit):
                    held.entered.append(_ScopedLimit(part.seconds, context))
                else:
                    await held.admit(part, inputs)
        except BaseException as error:
            _raise(held.leave(error), error)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _raise(self._held.leave(error), error)

    def __enter__(self) -> None:
        parts = self._begin(sync=True)
        held = self._held
        try:
            for part, inputs in parts:
                if not isinstance(part, TimeLimit):
                    held.admit_sync(part, inputs)
        except BaseException as error:
            _raise(held.leave(error), error)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _raise(self._held.leave(error), error)

    def _begin(self, *, sync: bool = False) -> Sequence[tuple[Part, tuple[Any, ...]]]:
        """Return the parts with their inputs, all evaluated before a part is entered."""
        blocks = self._blocks
        pipeline = blocks.context.name
        if self._entered:
            raise CortenError(f"pipeline {pipeline!r}: a guard is for one block: call pipeline.guard() for each")
        if sync and blocks.has_time_limit:
            raise CortenError(
                f"pipeline {pipeline!r}: its timeout cannot guard a sync block, which nothing can interrupt: leave it "
                "out, or write `async with`"
            )
        parts = blocks.without_inputs
        if blocks.has_inputs:
            parts = [(part, input_values(pipeline, part, self._values)) for part in blocks.parts]
        self._entered = True
        if blocks.observe is not None:
            self._held.entered.append(Entered(blocks.observe()))
        return parts


def _raise(outcome: BaseException | None, error: BaseException | None) -> None:
    """Raise the outcome of leaving, unless it is the error itself."""
    if outcome is not None and outcome is not error:
        raise outcome


class _ScopedLimit:
    """A time limit, as a cancel scope around all parts entered after it."""

    __slots__ = ("_context", "_deadline", "_scope", "_seconds")

    def __init__(self, seconds: float, context: PipelineContext) -> None:
        self._seconds = seconds
        self._context = context
        self._scope: AbstractContextManager[object] = context.clock.move_on_after(seconds)
        self._scope.__enter__()
        self._deadline = within(seconds, context.clock)
        self._deadline.__enter__()

    def leave(self, error: BaseException | None) -> BaseException | None:
        try:
            self._deadline.__exit__(None, None, None)
            if error is None:
                self._scope.__exit__(None, None, None)
                return None
            if self._scope.__exit__(type(error), error, error.__traceback__):
                late = deadline_exceeded(self._context, self._seconds)
                late.__cause__ = error
                return late
        except BaseException as other:  # noqa: BLE001 - the error for the outer parts
            return other
        return error
