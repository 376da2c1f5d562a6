"""Carrying out decisions about async calls: waits, attempts, fallbacks, scopes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from corten._core import Call
from corten.pipeline.functions.traceback import trimmed
from corten.pipeline.segments.fallbacks import Value
from corten.pipeline.segments.waiting import WAITS, wait

Make = Callable[..., Coroutine[Any, Any, Any]]
"""Makes the coroutine of one attempt."""
CarryOut = Callable[..., Awaitable[Any]]

if TYPE_CHECKING:
    from corten.pipeline.segments.fallbacks import Fallbacks
    from corten.pipeline.segments.segment import Segment
    from corten.pipeline.segments.trio_timeouts import TrioTimeouts


def carry_out_with(segment: Segment, fallbacks: Fallbacks, trio_timeouts: TrioTimeouts | None = None) -> CarryOut:
    """Return the function that takes over calls with a decision to carry out."""
    from corten.pipeline.segments.trio_timeouts import TrioTimeouts

    remembers = bool(fallbacks.last_good) and trio_timeouts is None  # of several parts the innermost remembers
    scopes = trio_timeouts if trio_timeouts is not None else TrioTimeouts(segment, fallbacks)

    async def carry_out(
        call: Call,
        make: Make,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: tuple[Any, ...] = (),
        original: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None,
    ) -> Any:
        action = ""
        try:
            while True:
                action = call.action
                if action == "fall_back":
                    scopes.emit(call.error)
                    fallback = fallbacks.find(call, segment, *(original or (args, kwargs)))
                    # These calls are here and not in a function, so that an error passes through fewer frames.
                    if fallback is None:
                        result = call.no_fallback()
                    elif isinstance(fallback, Value):
                        result = call.use_fallback(fallback.value)
                    else:
                        result = call.resume(*fallback)
                elif action in WAITS:
                    if not await wait(call, segment):
                        continue
                    result = call.resume(make, args, kwargs)
                else:
                    call.abandon()
                    return await scopes.run(make, args, kwargs, inputs)
                if type(result) is Call:
                    await result
                    result = result.result()
                if type(result) is not Call:
                    if remembers and action != "fall_back":
                        fallbacks.remember(args, kwargs, result)
                    return result
        except BaseException as error:
            call.abandon()
            if action == "enter_scopes":  # each part is another frame, and none emits the event
                scopes.emit(error)
                error.__traceback__ = trimmed(error)
            raise

    return carry_out
