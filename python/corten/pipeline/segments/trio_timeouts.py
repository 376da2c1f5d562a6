"""Time limits on trio: a segment in parts, with a cancel scope for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any
from weakref import WeakSet

from corten._core import Call
from corten.deadline import context_deadline
from corten.errors import DeadlineExceeded
from corten.pipeline.layers.layer import PipelineContext
from corten.pipeline.segments.carry_out import Make, carry_out_with
from corten.pipeline.segments.fallbacks import Fallbacks
from corten.pipeline.segments.segment import Segment
from corten.pipeline.stages.stage import Compiled
from corten.policies.timeout import Timeout

Inner = Callable[[float | None], Coroutine[Any, Any, Any]]
"""Everything further inside; the argument is the earliest deadline outside."""


def deadline_exceeded(context: PipelineContext, seconds: float) -> DeadlineExceeded:
    """Emit that a time limit passed, and return its error."""
    error = DeadlineExceeded(context.name, seconds, context.name)
    context.events.emit("timed_out", "timeout", error, seconds=seconds)
    return error


def split(segment: Segment) -> list[float | Segment]:
    """Divide a segment at its time limits, listed as seconds."""
    parts: list[float | Segment] = []
    compiled: list[Compiled] = []
    counts_calls = segment.counts_calls

    def flush() -> None:
        nonlocal counts_calls
        if compiled or counts_calls:
            parts.append(Segment(segment.context, compiled, counts_calls=counts_calls, once=segment.once))
            counts_calls = False
            compiled.clear()

    for each in segment.compiled:
        if isinstance(each.policy, Timeout):
            flush()
            parts.append(each.policy.seconds)
        else:
            compiled.append(each)
    flush()
    return parts


class TrioTimeouts:
    """A segment in parts, with a cancel scope for each time limit.

    On trio a scope must be entered before the coroutine's first step and left in the frame that entered it, so each
    time limit is a frame of its own here. This is slower, and used only on trio by pipelines with a time limit.
    """

    def __init__(self, segment: Segment, fallbacks: Fallbacks) -> None:
        self._segment = segment
        self._fallbacks = fallbacks
        self._context = segment.context
        self._parts: list[float | Segment] | None = None
        self._not_emitted: WeakSet[DeadlineExceeded] = WeakSet()

    def emit(self, error: object) -> None:
        """Emit ``timed_out`` for the error of a time limit, once nothing repeats the call."""
        if self._not_emitted and isinstance(error, DeadlineExceeded) and error in self._not_emitted:
            self._not_emitted.discard(error)
            self._context.events.emit("timed_out", "timeout", error, seconds=error.seconds)

    def run(
        self, make: Make, args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...]
    ) -> Awaitable[Any]:
        """Make the call through all parts."""
        if self._parts is None:
            self._parts = split(self._segment)
            if not isinstance(self._parts[-1], Segment):  # the core drives the innermost part: it knows the deadline
                self._parts.append(Segment(self._context, (), counts_calls=False))

        async def innermost(_: float | None) -> Any:
            result = await make(*args, **kwargs)
            self._fallbacks.remember(args, kwargs, result)
            return result

        chain: Inner = innermost
        end = len(inputs)
        for part in reversed(self._parts):
            if isinstance(part, Segment):
                begin = end - len(part.inputs)
                chain = self._through(part, chain, inputs[begin:end], (args, kwargs))
                end = begin
            else:
                chain = self._limited(part, chain)
        return chain(context_deadline(self._context.clock))

    def _limited(self, seconds: float, inner: Inner) -> Inner:
        async def limited(horizon: float | None) -> Any:
            deadline = self._context.clock.now() + seconds
            with self._context.clock.move_on_at(deadline):
                return await inner(deadline if horizon is None else min(deadline, horizon))
            raise self._late(seconds)

        return limited

    def _late(self, seconds: float) -> DeadlineExceeded:
        error = DeadlineExceeded(self._context.name, seconds, self._context.name)
        self._not_emitted.add(error)  # a retry further outside may repeat the call: then nothing has timed out
        return error

    def _through(
        self,
        part: Segment,
        inner: Inner,
        inputs: tuple[Any, ...],
        original: tuple[tuple[Any, ...], Mapping[str, Any]],
    ) -> Inner:
        carry_out = carry_out_with(part, self._fallbacks, self)

        async def through(horizon: float | None) -> Any:
            result = part.core.run_keyed(inner(horizon), inputs, horizon)
            if type(result) is Call:
                await result
                result = result.result()
                if type(result) is Call:
                    result = await carry_out(result, inner, (horizon,), {}, (), original)
            return result

        return through
