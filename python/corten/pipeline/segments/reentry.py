"""Calls inside of calls that wait for a place which their callers hold."""

from __future__ import annotations

import inspect
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from corten._core import Call
from corten.pipeline.functions.traceback import TITLE

if TYPE_CHECKING:
    from corten.pipeline.segments.segment import Segment

_WRAPPER = f"<{TITLE} "
_CARRIES_OUT = ("carry_out", "run_sync")


class Places(msgspec.Struct, frozen=True):
    """A wrapper's global: the state that its calls hold while the function runs."""

    states: tuple[Any, ...]
    """The state of each stage, bulkheads among them."""


def refuse_itself(call: Call, segment: Segment, *, wrappers: int = 1) -> bool:
    """Refuse a queued call that would wait for itself; True: a policy handles the refusal.

    Called only when a call has to wait. The stack shows the wrappers of the calls from which this one is made; each
    of them holds a place until this call is over. Tasks and threads that a call started have stacks of their own, and
    blocks under ``guard()`` have no wrapper: their places are not seen.

    :param wrappers: how many wrappers on the stack belong to the call itself
    :raises Refused: all places are held by calls from which this one is made
    """
    stage = call.stage
    if stage is None:
        return False
    bulkhead = segment.compiled[stage].state
    holders = -wrappers
    falls_back = False
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_WRAPPER):
            if not falls_back and _holds(frame, bulkhead):
                holders += 1
            falls_back = False
        elif frame.f_code.co_name in _CARRIES_OUT and frame.f_globals.get("__package__") == __package__:
            falls_back = frame.f_locals.get("action") == "fall_back"  # the call has given back its place
        frame = frame.f_back
    if holders > 0:
        call.refuse_itself(holders)
    return call.action != "queue"


def _holds(frame: FrameType, bulkhead: object) -> bool:
    return any(
        type(value) is Places and any(state is bulkhead for state in value.states) for value in frame.f_globals.values()
    )
