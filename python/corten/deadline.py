"""The deadline of the running code.

Time limits of pipelines set it, and `within`.

Inner pipelines wait for no token, place or further attempt beyond it. Other code can read it and hand it on: to a
driver's ``timeout``, or to the next service in a header.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from corten import _core
from corten.clock import Clock

__all__ = ["at_most", "beyond", "remaining", "within"]

_deadline: ContextVar[tuple[Clock, float] | None] = ContextVar("corten_deadline", default=None)


def remaining() -> float | None:
    """Return the seconds until the earliest deadline; None: there is none.

    It is 0 once the deadline has passed.

    Functions of pipelines with a `Timeout` have a deadline, and code inside :func:`within`. Tasks that they start
    inherit the deadline of `within`, but not a pipeline's.
    """
    by_pipeline = _core.pipeline_time_left()
    found = _deadline.get()
    if found is None:
        return by_pipeline
    clock, deadline = found
    left = max(0.0, deadline - clock.now())
    return left if by_pipeline is None else min(left, by_pipeline)


_MARGIN = 0.01
"""Seconds by which a wait ends before the deadline: two ticks of the timer that cancels at it."""


def at_most(seconds: float) -> float:
    """Return ``seconds``, or a little less than remains if that is shorter.

    So the wait ends with an error of its own, before the deadline cancels it.
    """
    left = remaining()
    return seconds if left is None else min(seconds, max(left - _MARGIN, left * 0.9))


@contextmanager
def within(seconds: float, clock: Clock | None = None) -> Generator[None]:
    """Set a deadline for the code inside, such as a request's.

    It cancels nothing: a `Timeout` or ``anyio.fail_after`` does. An earlier deadline outside stays in force. Tasks
    started inside inherit it.

    :param seconds: from now; a negative number is a deadline that has passed
    :param clock: the machine's by default
    :raises ValueError: ``seconds`` is NaN
    """
    if math.isnan(seconds):
        raise ValueError("seconds is nan; it must be a number of seconds until the deadline")
    clock = clock if clock is not None else _machine
    deadline = clock.now() + seconds
    outside = _deadline.get()
    if outside is not None and outside[0] is clock:
        deadline = min(deadline, outside[1])
    _core.deadlines_by_context(_deadline)
    token = _deadline.set((clock, deadline))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def beyond() -> Generator[None]:
    """Hide the deadline from work that outlives the call that began it.

    It does not shield from cancellation.
    """
    before = _deadline.get()
    _deadline.set(None)
    try:
        yield
    finally:
        _deadline.set(before)


def context_deadline(clock: Clock) -> float | None:
    """Return the deadline that `within` set, as a time of a clock."""
    found = _deadline.get()
    if found is None:
        return None
    if found[0] is clock:
        return found[1]
    return clock.now() + (found[1] - found[0].now())


_machine = Clock()
