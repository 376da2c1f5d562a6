"""Awaiting what the core decided: waits, queues, further attempts, cancel scopes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import anyio

from corten._core import Call
from corten._core import Pipeline as Core
from corten.clock import Clock
from corten.errors import DeadlineExceeded
from corten.pipeline.backend import from_any_thread
from corten.pipeline.compile import Stages

Make = Callable[..., Coroutine[Any, Any, Any]]
CarryOut = Callable[..., Awaitable[Any]]
Inner = Callable[[float | None], Coroutine[Any, Any, Any]]
"""What is further inside; its argument is the earliest deadline outside."""


async def wait_in_queue(call: Call, clock: Clock) -> None:
    """Wait until the call's place in the queue is granted, or as long as it may."""
    granted = anyio.Event()
    if call.on_grant(from_any_thread(granted.set)):
        return
    until = call.until
    if until is None:
        await granted.wait()
        return
    with clock.move_on_at(until):
        await granted.wait()


def carry_out_with(name: str, clock: Clock, layer: Stages, scoped: ScopedStages | None = None) -> CarryOut:
    """The function that takes over a call which is not over after its first step, or not begun yet."""
    scoped = scoped if scoped is not None else ScopedStages(name, clock, layer)

    async def carry_out(
        call: Call, make: Make, args: tuple[Any, ...], kwargs: dict[str, Any], keys: tuple[Any, ...] = ()
    ) -> Any:
        try:
            while True:
                todo = call.todo
                if todo == "wait":
                    await clock.sleep(call.seconds)
                elif todo == "queue":
                    await wait_in_queue(call, clock)
                else:
                    call.abandon()
                    return await scoped.run(make, args, kwargs, keys)
                result = call.go_on(make, args, kwargs)
                if type(result) is Call:
                    await result
                    result = result.result()
                if type(result) is not Call:
                    return result
        except BaseException:
            call.abandon()
            raise

    return carry_out


class ScopedStages:
    """The same policies in parts, with a cancel scope where a time limit stands between them.

    On trio a scope must be entered before the coroutine's first step and left in the frame that entered it, so here
    every time limit is a frame of its own. Slower, and only for pipelines with a time limit that trio runs.
    """

    def __init__(self, name: str, clock: Clock, layer: Stages) -> None:
        self._name = name
        self._clock = clock
        self._layer = layer
        self._parts: list[float | Stages] | None = None

    def run(
        self, make: Make, args: tuple[Any, ...], kwargs: Mapping[str, Any], keys: tuple[Any, ...]
    ) -> Awaitable[Any]:
        """Make the call through all parts."""
        if self._parts is None:
            self._parts = self._split()

        async def innermost(_: float | None) -> Any:
            return await make(*args, **kwargs)

        chain: Inner = innermost
        end = len(keys)
        for part in reversed(self._parts):
            if isinstance(part, Stages):
                begin = end - len(part.keys)
                chain = self._staged(part, chain, keys[begin:end])
                end = begin
            else:
                chain = self._limited(part, chain)
        return chain(None)

    def _split(self) -> list[float | Stages]:
        parts: list[float | Stages] = []
        stages: list[Any] = []
        counts_calls = self._layer.counts_calls

        def flush() -> None:
            nonlocal counts_calls
            if stages or counts_calls:
                core = Core(self._name, self._clock, self._layer.core.counts, list(stages), counts_calls)
                keyed = sum(type(stage[1]).__name__ == "KeyedTokenBucket" for stage in stages)
                parts.append(Stages(core, tuple(stages), ("",) * keyed, counts_calls))
                counts_calls = False
                stages.clear()

        for stage in self._layer.stages:
            if stage[0] == "timeout":
                flush()
                parts.append(float(stage[1]))
            else:
                stages.append(stage)
        flush()
        return parts

    def _limited(self, seconds: float, inner: Inner) -> Inner:
        async def limited(horizon: float | None) -> Any:
            deadline = self._clock.now() + seconds
            with self._clock.move_on_at(deadline):
                return await inner(deadline if horizon is None else min(deadline, horizon))
            raise DeadlineExceeded(self._name, seconds)

        return limited

    def _staged(self, part: Stages, inner: Inner, keys: tuple[Any, ...]) -> Inner:
        carry_out = carry_out_with(self._name, self._clock, part, self)

        async def staged(horizon: float | None) -> Any:
            result = part.core.run_keyed(inner(horizon), keys, horizon)
            if type(result) is Call:
                await result
                result = result.result()
                if type(result) is Call:
                    result = await carry_out(result, inner, (horizon,), {})
            return result

        return staged
