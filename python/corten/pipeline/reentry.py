"""Calls that are made from inside of calls: who holds places while it waits for another one."""

from __future__ import annotations

import inspect

from corten._core import Call, Pipeline
from corten.pipeline.traceback import TITLE

_FILE = f"<{TITLE} "


def refuse_itself(call: Call, core: Pipeline) -> None:
    """Refuse a call in a queue that would wait for itself; asked only when it has to wait.

    Whoever runs right now is on the stack: so are the wrappers of the calls that this one is made from, each of which
    holds a place until this call is over. Tasks and threads that a call started have stacks of their own; what those
    wait for is not seen.

    :param core: the run of stages that the call goes through; its wrappers have it among their names
    :raises BulkheadFull: all places are held by calls that this one is made from
    """
    holders = -1  # the call's own wrapper
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_FILE):
            holders += any(value is core for value in frame.f_globals.values())
        frame = frame.f_back
    if holders > 0:
        call.refuse_itself(holders)
