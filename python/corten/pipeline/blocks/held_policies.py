"""Policies held for a block of code or an iteration, in place of a call.

Policies that admit, count and limit can be held. Policies that repeat a call or replace its result can't: there is no
call to repeat, and no result to replace.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from corten._core import Call
from corten.pipeline.layers import Layer, PipelineContext
from corten.pipeline.segments.segment import Segment
from corten.pipeline.segments.trio_timeouts import split
from corten.pipeline.segments.waiting import wait_for_admission, wait_for_admission_sync
from corten.pipeline.stages.stage import Input
from corten.policies.combined.policy import Policy


class Admission(Protocol):
    """Admits blocks, for a layer in Python."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Inputs of its policy."""
        ...

    async def before(self, inputs: tuple[Any, ...]) -> None:
        """Admit a block, perhaps after a wait.

        :raises Exception: it refuses the block
        """
        ...

    def before_sync(self, inputs: tuple[Any, ...]) -> None:
        """Admit a sync block, perhaps blocking its thread."""
        ...


@runtime_checkable
class Admits(Protocol):
    """A layer that can guard blocks."""

    def admission(self, context: PipelineContext) -> Admission:
        """Return the object that admits blocks."""
        ...


class TimeLimit(NamedTuple):
    """A time limit, which is a cancel scope of its own."""

    seconds: float


Part = TimeLimit | Segment | Admission


def objection(policies: Sequence[Policy], what: str) -> str | None:
    """Return why policies can't guard a block; None: they can.

    :param what: the block in words, such as ``a block``
    """
    words = [part for policy in policies if (part := policy.block_objection())]
    if not words:
        return None
    return (
        f"{', '.join(dict.fromkeys(words))} can't guard {what}: such a policy repeats a call or replaces its result; "
        "leave it out, or guard a function"
    )


def parts_of(layers: Sequence[Layer], context: PipelineContext) -> tuple[Part, ...]:
    """Return the parts to hold, outermost first.

    :raises ValueError: a layer can't guard blocks
    """
    parts: list[Part] = []
    for layer in layers:
        if isinstance(layer, Segment):
            parts.extend(each if isinstance(each, Segment) else TimeLimit(each) for each in split(layer))
        elif isinstance(layer, Admits):
            parts.append(layer.admission(context))
        else:
            words = f"pipeline {context.name!r}: {layer.kind} can't guard a block or an iteration"
            raise ValueError(words)  # noqa: TRY004 - a problem of the user's policies
    return tuple(parts)


def inputs_of(parts: Sequence[Part]) -> tuple[Input, ...]:
    """Return the inputs of all parts, in their order."""
    return tuple(each for part in parts if not isinstance(part, TimeLimit) for each in part.inputs)


class Held(Protocol):
    """A part that a block holds."""

    def leave(self, error: BaseException | None) -> BaseException | None:
        """Leave it with the block's error, and return the error for the outer parts."""
        ...


class _Admitted:
    """A segment that admitted the block."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def leave(self, error: BaseException | None) -> BaseException | None:
        try:
            if error is None:
                self._call.succeeded()
            else:
                self._call.failed(error)
        except BaseException as other:  # noqa: BLE001 - the error for the outer parts
            return other
        return error


class Entered:
    """A context manager that was entered."""

    __slots__ = ("_manager",)

    def __init__(self, manager: AbstractContextManager[object]) -> None:
        manager.__enter__()
        self._manager = manager

    def leave(self, error: BaseException | None) -> BaseException | None:
        """Leave it; it can't suppress the error."""
        try:
            if error is None:
                self._manager.__exit__(None, None, None)
            else:
                self._manager.__exit__(type(error), error, error.__traceback__)
        except BaseException as other:  # noqa: BLE001 - the error for the outer parts
            return other
        return error


class HeldPolicies:
    """The parts that a block holds, left in reverse; given back when it is dropped."""

    __slots__ = ("entered",)

    def __init__(self) -> None:
        self.entered: list[Held] = []

    def leave(self, error: BaseException | None) -> BaseException | None:
        """Leave all parts, and return the error to raise, or None."""
        while self.entered:
            error = self.entered.pop().leave(error)
        return error

    async def admit(self, part: Segment | Admission, inputs: tuple[Any, ...]) -> None:
        """Wait until a part admits the block, and hold the part.

        :raises Refused: the part refuses the block
        """
        if not isinstance(part, Segment):
            await part.before(inputs)
            return
        call = part.core.admit(inputs)
        try:
            await wait_for_admission(call, part, wrappers=0)
        except BaseException:
            call.abandon()
            raise
        self.entered.append(_Admitted(call))

    def admit_sync(self, part: Segment | Admission, inputs: tuple[Any, ...]) -> None:
        """Do as :meth:`admit`, blocking this thread."""
        if not isinstance(part, Segment):
            part.before_sync(inputs)
            return
        call = part.core.admit(inputs)
        try:
            wait_for_admission_sync(call, part, wrappers=0)
        except BaseException:
            call.abandon()
            raise
        self.entered.append(_Admitted(call))


def input_values(pipeline: str, part: Part, values: dict[str, Any]) -> tuple[Any, ...]:
    """Return the inputs of a part, from named values.

    :raises TypeError: a value is missing
    """
    if isinstance(part, TimeLimit):
        return ()
    found: list[Any] = []
    for each in part.inputs:
        if callable(each):
            found.append(each(**values))
        elif each in values:
            found.append(values[each])
        else:
            raise TypeError(f"pipeline {pipeline!r}: a policy needs {each!r}: write guard({each}=…)")
    return tuple(found)
