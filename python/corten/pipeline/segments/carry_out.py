"""Awaiting what the core decided: waits, queues, further attempts, cancel scopes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import anyio

from corten._core import Call
from corten.clock import Clock
from corten.event_loop import from_any_thread
from corten.pipeline.functions.traceback import trimmed
from corten.pipeline.segments.fallbacks import Given
from corten.pipeline.segments.reentry import refuse_itself

Make = Callable[..., Coroutine[Any, Any, Any]]
CarryOut = Callable[..., Awaitable[Any]]

if TYPE_CHECKING:
    from corten.pipeline.segments.fallbacks import Fallbacks
    from corten.pipeline.segments.segment import Run
    from corten.pipeline.segments.trio_timeouts import ScopedRun


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


def carry_out_with(run: Run, fallbacks: Fallbacks, scoped: ScopedRun | None = None) -> CarryOut:
    """The function that takes over a call which is not over after its first step, or not begun yet."""
    from corten.pipeline.segments.trio_timeouts import ScopedRun

    remembers = bool(fallbacks.last_good) and scoped is None  # the parts of a run leave that to the innermost
    scoped = scoped if scoped is not None else ScopedRun(run, fallbacks)
    clock = run.context.clock

    async def carry_out(
        call: Call,
        make: Make,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: tuple[Any, ...] = (),
        given: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None,
    ) -> Any:
        todo = ""
        try:
            while True:
                todo = call.todo
                if todo == "fall_back":
                    scoped.tell(call.error)
                    asked = fallbacks.asked(call, run, *(given or (args, kwargs)))
                    # Here and not there, so that an error passes through no more frames than it must.
                    if asked is None:
                        result = call.decline()
                    elif isinstance(asked, Given):
                        result = call.give(asked.value)
                    else:
                        result = call.go_on(*asked)
                    if type(result) is Call:
                        await result
                        result = result.result()
                    if type(result) is not Call:
                        return result
                    continue
                if todo == "wait":
                    await clock.sleep(call.seconds)
                elif todo == "queue":
                    refuse_itself(call, run)
                    if call.todo != todo:
                        continue  # a policy further outside does something about that
                    await wait_in_queue(call, clock)
                else:
                    call.abandon()
                    return await scoped.run(make, args, kwargs, inputs)
                result = call.go_on(make, args, kwargs)
                if type(result) is Call:
                    await result
                    result = result.result()
                if type(result) is not Call:
                    if remembers:
                        fallbacks.remember(args, kwargs, result)
                    return result
        except BaseException as error:
            call.abandon()
            if todo == "scope":  # each of the parts is a frame of its own, and none tells anything
                scoped.tell(error)
                error.__traceback__ = trimmed(error)
            raise

    return carry_out
