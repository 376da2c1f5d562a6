"""Policies held over a span, a block of code or an iteration, and not around a call.

What admits, counts and limits can do that. What repeats a call or gives a result in its place can't: there is no call
to repeat, and nowhere to put a result.
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
from corten.policies.policy import Policy


class Admission(Protocol):
    """What a layer of Python does before a span."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What it wants to know of the span."""
        ...

    async def before(self, inputs: tuple[Any, ...]) -> None:
        """Let the span begin, at once or after a while.

        :raises Exception: it does not
        """
        ...

    def before_sync(self, inputs: tuple[Any, ...]) -> None:
        """The same for a plain block in a thread."""
        ...


@runtime_checkable
class Admits(Protocol):
    """A layer that can hold over a span."""

    def admission(self, context: PipelineContext) -> Admission:
        """What it does before one."""
        ...


class TimeLimit(NamedTuple):
    """A time limit; it stands alone, for each of them is a cancel scope."""

    seconds: float


Part = TimeLimit | Segment | Admission


def objection(policies: Sequence[Policy], what: str) -> str | None:
    """Why policies can't hold over a span, in words that end the pipeline's error; None: they can.

    :param what: what the span is: ``a block``
    """
    words = [part for policy in policies if (part := policy.block_objection())]
    if not words:
        return None
    return (
        f"{', '.join(dict.fromkeys(words))} can't guard {what}: such a policy repeats a call or gives a result in its "
        "place; leave it out, or guard a function"
    )


def parts_of(layers: Sequence[Layer], context: PipelineContext) -> tuple[Part, ...]:
    """The policies one after the other, outermost first.

    :raises ValueError: a layer can't hold over a span
    """
    parts: list[Part] = []
    for layer in layers:
        if isinstance(layer, Segment):
            parts.extend(each if isinstance(each, Segment) else TimeLimit(each) for each in split(layer))
        elif isinstance(layer, Admits):
            parts.append(layer.admission(context))
        else:
            words = f"pipeline {context.name!r}: {layer.kind} can't guard a block or an iteration"
            raise ValueError(words)  # noqa: TRY004 - it is the user's order of policies that does not fit
    return tuple(parts)


def inputs_of(parts: Sequence[Part]) -> tuple[Input, ...]:
    """What all parts want to know, in their order."""
    return tuple(each for part in parts if not isinstance(part, TimeLimit) for each in part.inputs)


class Ending(Protocol):
    """Something entered that is left with how it went."""

    def leave(self, error: BaseException | None) -> BaseException | None:
        """Leave it; gives the error for those further outside, which may be another one, or None."""
        ...


class _Admitted:
    """A run of stages that let the span begin."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def leave(self, error: BaseException | None) -> BaseException | None:
        try:
            if error is None:
                self._call.succeeded()
            else:
                self._call.failed(error)
        except BaseException as other:  # noqa: BLE001 - goes on outwards
            return other
        return error


class Inside:
    """A context manager, entered."""

    __slots__ = ("_manager",)

    def __init__(self, manager: AbstractContextManager[object]) -> None:
        manager.__enter__()
        self._manager = manager

    def leave(self, error: BaseException | None) -> BaseException | None:
        """Leave it; it can't swallow the error."""
        try:
            if error is None:
                self._manager.__exit__(None, None, None)
            else:
                self._manager.__exit__(type(error), error, error.__traceback__)
        except BaseException as other:  # noqa: BLE001 - goes on outwards
            return other
        return error


class HeldPolicies:
    """What a span holds, left in reverse. Dropped, it gives everything back."""

    __slots__ = ("entered",)

    def __init__(self) -> None:
        self.entered: list[Ending] = []

    def leave(self, error: BaseException | None) -> BaseException | None:
        """Leave everything; gives the error that is to be raised, or None."""
        while self.entered:
            error = self.entered.pop().leave(error)
        return error

    async def admit(self, part: Segment | Admission, inputs: tuple[Any, ...]) -> None:
        """Wait until a part admits the block, and hold what it gives.

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


def evaluated(pipeline: str, part: Part, values: dict[str, Any]) -> tuple[Any, ...]:
    """What a part wants to know, out of named values.

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
            raise TypeError(f"pipeline {pipeline!r}: a policy wants to know {each!r}: guard({each}=…)")
    return tuple(found)
