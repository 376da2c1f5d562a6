"""The same policies around plain functions, without an event loop."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from corten._core import Call
from corten.clock import LONGEST, Clock
from corten.errors import CortenError
from corten.event_loop import in_event_loop
from corten.pipeline.segments.fallbacks import Given
from corten.pipeline.segments.reentry import refuse_itself

if TYPE_CHECKING:
    from corten.pipeline.segments.fallbacks import Asked, Fallbacks
    from corten.pipeline.segments.segment import Run

RunBlocking = Callable[..., Any]


def refuse_to_block(name: str) -> None:
    """Raise where blocking would do harm.

    :raises CortenError: the thread runs an event loop, which would stand still
    """
    if in_event_loop():
        raise CortenError(
            f"pipeline {name!r}: a policy would make this plain function wait, in the thread of an event loop: "
            "make it async, or call it in a worker thread"
        )


def wait(name: str, call: Call, clock: Clock) -> None:
    """Block this thread for what the core decided.

    :raises CortenError: the thread runs an event loop, which would stand still
    """
    refuse_to_block(name)
    if call.todo == "wait":
        clock.block(call.seconds)
        return
    granted = threading.Event()
    if not call.on_grant(granted.set):
        until = call.until
        granted.wait(None if until is None else min(max(0.0, until - clock.now()), LONGEST))


def run_blocking_with(run: Run, fallbacks: Fallbacks) -> RunBlocking:
    """The function that makes a call of a plain function under the policies of a run."""
    name, clock, core = run.context.name, run.context.clock, run.core

    def run_sync(
        function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...] = ()
    ) -> Any:
        call = core.admit(inputs)
        try:
            while True:
                asked: Given | Asked | None = (function, args, dict(kwargs))
                while (todo := call.todo) != "admitted":
                    if todo == "fall_back":
                        asked = fallbacks.asked(call, run, args, kwargs)
                        break
                    if todo == "queue":
                        refuse_itself(call, run)
                        if call.todo != todo:
                            continue  # a policy further outside does something about that
                    wait(name, call, clock)
                    call.enter()
                if asked is None:
                    call.decline()  # raises, unless it is to be tried again
                    continue
                if isinstance(asked, Given):
                    result = call.give(asked.value)
                    if type(result) is Call:
                        continue
                    return result
                make, given, named = asked
                try:
                    value = make(*given, **named)
                    if todo == "admitted" and inspect.isawaitable(value):
                        refuse_awaitable(name, function, value)
                except BaseException as error:
                    if not call.failed(error):
                        raise
                else:
                    if not call.returned(value):
                        if todo == "admitted":
                            fallbacks.remember(args, kwargs, value)
                        return value
        except BaseException:
            call.abandon()
            raise

    return run_sync


def refuse_awaitable(name: str, function: Callable[..., Any], value: object) -> None:
    """Close what nobody will await.

    :raises TypeError: always: the function must say that it returns an awaitable
    """
    if inspect.iscoroutine(value):
        value.close()
    raise TypeError(
        f"pipeline {name!r}: {function.__qualname__} returned an awaitable without saying so: write it with "
        "`async def`, or annotate it `-> Awaitable[...]`"
    )
