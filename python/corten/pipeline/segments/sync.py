"""Run a sync function under a segment, without an event loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from corten._core import Call
from corten.pipeline.segments.fallbacks import Value
from corten.pipeline.segments.waiting import wait_for_admission_sync

if TYPE_CHECKING:
    from corten.pipeline.segments.fallbacks import Fallbacks
    from corten.pipeline.segments.segment import Segment

RunSync = Callable[..., Any]


def run_sync_with(segment: Segment, fallbacks: Fallbacks) -> RunSync:
    """Return the function that runs a sync function under a segment."""
    name, core = segment.context.name, segment.core

    def run_sync(
        function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...] = ()
    ) -> Any:
        call = core.admit(inputs)
        try:
            while True:
                wait_for_admission_sync(call, segment)
                action = call.action
                if action == "fall_back":
                    fallback = fallbacks.find(call, segment, args, kwargs)
                    if fallback is None:
                        call.no_fallback()  # raises, unless the call is tried again
                        continue
                    if isinstance(fallback, Value):
                        result = call.use_fallback(fallback.value)
                        if type(result) is Call:
                            continue
                        return result
                    make, given_args, given_kwargs = fallback
                else:
                    make, given_args, given_kwargs = function, args, dict(kwargs)
                try:
                    value = make(*given_args, **given_kwargs)
                    if action == "proceed" and inspect.isawaitable(value):
                        refuse_awaitable(name, function, value)
                except BaseException as error:
                    if not call.failed(error):
                        raise
                else:
                    if not call.returned(value):
                        if action == "proceed":
                            fallbacks.remember(args, kwargs, value)
                        return value
        except BaseException:
            call.abandon()
            raise

    return run_sync


def refuse_awaitable(name: str, function: Callable[..., Any], value: object) -> None:
    """Close an awaitable that a sync function returned.

    :raises TypeError: always: the function must declare that it returns an awaitable
    """
    if inspect.iscoroutine(value):
        value.close()
    raise TypeError(
        f"pipeline {name!r}: {function.__qualname__} returned an awaitable without saying so: write it with "
        "`async def`, or annotate it `-> Awaitable[...]`"
    )
