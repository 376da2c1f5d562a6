"""Time limits as cancel scopes, for trio: a run in parts, with a scope where a time limit stands between them."""

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
from corten.pipeline.segments.segment import Run
from corten.pipeline.stages.stage import Compiled

Inner = Callable[[float | None], Coroutine[Any, Any, Any]]
"""What is further inside; its argument is the earliest deadline outside."""


def exceeded(context: PipelineContext, seconds: float) -> DeadlineExceeded:
    """The error of a time limit that has passed, once it was told."""
    error = DeadlineExceeded(context.name, seconds, context.name)
    context.events.emit("timed_out", "timeout", error, seconds=seconds)
    return error


def split(run: Run) -> list[float | Run]:
    """A run in parts, with its time limits alone."""
    parts: list[float | Run] = []
    compiled: list[Compiled] = []
    counts_calls = run.counts_calls

    def flush() -> None:
        nonlocal counts_calls
        if compiled or counts_calls:
            parts.append(Run(run.context, compiled, counts_calls=counts_calls, once=run.once))
            counts_calls = False
            compiled.clear()

    for each in run.compiled:
        if each.stage[0] == "timeout":
            flush()
            parts.append(float(each.stage[1]))
        else:
            compiled.append(each)
    flush()
    return parts


class ScopedRun:
    """The same policies in parts, with a cancel scope where a time limit stands between them.

    On trio a scope must be entered before the coroutine's first step and left in the frame that entered it, so here
    every time limit is a frame of its own. Slower, and only for pipelines with a time limit that trio runs.
    """

    def __init__(self, run: Run, fallbacks: Fallbacks) -> None:
        self.whole = run
        self._fallbacks = fallbacks
        self._context = run.context
        self._parts: list[float | Run] | None = None
        self._untold: WeakSet[DeadlineExceeded] = WeakSet()

    def tell(self, error: object) -> None:
        """Tell of a time limit that has passed, if this is its error and nothing repeats the call."""
        if self._untold and isinstance(error, DeadlineExceeded) and error in self._untold:
            self._untold.discard(error)
            self._context.events.emit("timed_out", "timeout", error, seconds=error.seconds)

    def run(
        self, make: Make, args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...]
    ) -> Awaitable[Any]:
        """Make the call through all parts."""
        if self._parts is None:
            self._parts = self._split()

        async def innermost(_: float | None) -> Any:
            result = await make(*args, **kwargs)
            self._fallbacks.remember(args, kwargs, result)
            return result

        chain: Inner = innermost
        end = len(inputs)
        for part in reversed(self._parts):
            if isinstance(part, Run):
                begin = end - len(part.inputs)
                chain = self._staged(part, chain, inputs[begin:end], (args, kwargs))
                end = begin
            else:
                chain = self._limited(part, chain)
        return chain(context_deadline(self._context.clock))

    def _split(self) -> list[float | Run]:
        parts = split(self.whole)
        if not isinstance(parts[-1], Run):  # the core drives the innermost part, so that the deadline is known there
            parts.append(Run(self._context, (), counts_calls=False))
        return parts

    def _limited(self, seconds: float, inner: Inner) -> Inner:
        async def limited(horizon: float | None) -> Any:
            deadline = self._context.clock.now() + seconds
            with self._context.clock.move_on_at(deadline):
                return await inner(deadline if horizon is None else min(deadline, horizon))
            raise self._late(seconds)

        return limited

    def _late(self, seconds: float) -> DeadlineExceeded:
        late = DeadlineExceeded(self._context.name, seconds, self._context.name)
        self._untold.add(late)  # a retry further outside may repeat the call: then nothing has timed out
        return late

    def _staged(
        self, part: Run, inner: Inner, inputs: tuple[Any, ...], given: tuple[tuple[Any, ...], Mapping[str, Any]]
    ) -> Inner:
        carry_out = carry_out_with(part, self._fallbacks, self)

        async def staged(horizon: float | None) -> Any:
            result = part.core.run_keyed(inner(horizon), inputs, horizon)
            if type(result) is Call:
                await result
                result = result.result()
                if type(result) is Call:
                    result = await carry_out(result, inner, (horizon,), {}, (), given)
            return result

        return staged
