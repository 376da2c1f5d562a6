"""Calls that are made from inside of calls: who holds places while it waits for another one."""

from __future__ import annotations

import inspect
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from corten._core import Call
from corten.pipeline.functions.traceback import TITLE

if TYPE_CHECKING:
    from corten.pipeline.segments.segment import Run

_WRAPPER = f"<{TITLE} "
_CARRIES_OUT = ("carry_out", "run_sync")


class Places(msgspec.Struct, frozen=True):
    """Among the names of a wrapper: what its calls hold while the function runs."""

    states: tuple[Any, ...]
    """The kept state of each stage, bulkheads among them."""


def refuse_itself(call: Call, run: Run, *, wrappers: int = 1) -> None:
    """Refuse a call in a queue that would wait for itself; asked only when it has to wait.

    Whoever runs right now is on the stack: so are the wrappers of the calls that this one is made from, each of which
    holds a place until this call is over. Tasks and threads that a call started have stacks of their own, and blocks
    under ``guard()`` have none: what those hold is not seen.

    :param run: what the call goes through
    :param wrappers: how many of those on the stack are the call's own
    :raises Refused: all places are held by calls that this one is made from
    """
    stage = call.stage
    if stage is None:
        return
    places = run.compiled[stage].state
    holders = -wrappers
    falls_back = False
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_WRAPPER):
            if not falls_back and _holds(frame, places):
                holders += 1
            falls_back = False
        elif frame.f_code.co_name in _CARRIES_OUT and frame.f_globals.get("__package__") == __package__:
            falls_back = frame.f_locals.get("todo") == "fall_back"  # what it held it has given back
        frame = frame.f_back
    if holders > 0:
        call.refuse_itself(holders)


def _holds(frame: FrameType, places: object) -> bool:
    return any(
        type(value) is Places and any(state is places for state in value.states) for value in frame.f_globals.values()
    )
