"""Waiting as the core decided, for tasks and for threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio

from corten.clock import LONGEST
from corten.errors import CortenError
from corten.event_loop import from_any_thread, in_event_loop
from corten.pipeline.segments.reentry import refuse_itself

if TYPE_CHECKING:
    from corten._core import Call
    from corten.pipeline.segments.segment import Segment

WAITS = ("wait", "retry", "queue")
"""The decisions after which a call waits and enters again."""


async def wait(call: Call, segment: Segment, *, wrappers: int = 1) -> bool:
    """Wait before the call enters again; False: its action changed.

    :param wrappers: how many wrappers on the stack belong to the call itself
    :raises Refused: the call would wait for itself
    """
    clock = segment.context.clock
    if call.action != "queue":
        await clock.sleep(call.seconds)
        return True
    if refuse_itself(call, segment, wrappers=wrappers):
        return False
    granted = anyio.Event()
    if not call.on_grant(from_any_thread(granted.set)):
        until = call.until
        if until is None:
            await granted.wait()
        else:
            with clock.move_on_at(until):
                await granted.wait()
    return True


def wait_sync(call: Call, segment: Segment, *, wrappers: int = 1) -> bool:
    """Do as :func:`wait`, blocking this thread.

    :raises CortenError: the thread runs an event loop, which would stand still
    """
    if call.action == "queue" and refuse_itself(call, segment, wrappers=wrappers):
        return False
    refuse_to_block(segment.context.name)
    clock = segment.context.clock
    if call.action != "queue":
        clock.block(call.seconds)
        return True
    granted = threading.Event()
    if not call.on_grant(granted.set):
        until = call.until
        granted.wait(None if until is None else min(max(0.0, until - clock.now()), LONGEST))
    return True


async def wait_for_admission(call: Call, segment: Segment, *, wrappers: int = 1) -> None:
    """Wait until the call is admitted or falls back, as ``action`` says.

    :raises Refused: a policy refuses the call
    """
    while call.action in WAITS:
        if await wait(call, segment, wrappers=wrappers):
            call.enter()


def wait_for_admission_sync(call: Call, segment: Segment, *, wrappers: int = 1) -> None:
    """Do as :func:`wait_for_admission`, blocking this thread."""
    while call.action in WAITS:
        if wait_sync(call, segment, wrappers=wrappers):
            call.enter()


def refuse_to_block(pipeline: str) -> None:
    """Check that this thread may block.

    :raises CortenError: the thread runs an event loop, which would stand still
    """
    if in_event_loop():
        raise CortenError(
            f"pipeline {pipeline!r}: a policy would make this sync function wait in the thread of an event loop: "
            "make it async, or call it in a worker thread"
        )
