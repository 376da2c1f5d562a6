"""The deadline around the code that runs: set by the time limits of pipelines, and by `within`.

Pipelines further inside wait for no token, place or further attempt beyond it. What Corten does not know can ask and
hand it on: to a driver's ``timeout``, to the next service in a header.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from corten import _core
from corten.clock import Clock

__all__ = [
    "at_most",
    "beyond",
    "remaining",
    "within",
]

_deadline: ContextVar[tuple[Clock, float] | None] = ContextVar("corten_deadline", default=None)


def remaining() -> float | None:
    """Seconds until the earliest deadline around the caller, 0 where it has passed; None where there is none.

    Known inside of functions of pipelines with a `Timeout` and inside of :func:`within`. Tasks that are started there
    do not inherit a pipeline's, only what `within` set.
    """
    by_pipeline = _core.pipeline_time_left()
    found = _deadline.get()
    if found is None:
        return by_pipeline
    clock, deadline = found
    left = max(0.0, deadline - clock.now())
    return left if by_pipeline is None else min(left, by_pipeline)


_MARGIN = 0.01
"""Seconds by which a wait ends before the deadline around it: two ticks of what cancels at that."""


def at_most(seconds: float) -> float:
    """The time limit of a wait: one's own, or a little less than what remains where that is shorter.

    A little less, so that the wait ends with words of its own (which pool was exhausted, and how far) before the
    deadline cancels it without any.
    """
    left = remaining()
    return seconds if left is None else min(seconds, max(left - _MARGIN, left * 0.9))


@contextmanager
def within(seconds: float, clock: Clock | None = None) -> Generator[None]:
    """Let what is inside know that nobody waits longer: a deadline that came with a request, say.

    It tells and does not cancel: that is a `Timeout`'s work, or ``anyio.fail_after``'s. An earlier deadline outside
    stays in force. Tasks started inside inherit it.

    :param seconds: from now
    :param clock: whose seconds they are; the machine's by default
    :raises ValueError: no number of seconds; less than none is a deadline that has passed
    """
    if math.isnan(seconds):
        raise ValueError("seconds is nan; it must be how long somebody waits, in seconds")
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
    """Let what is inside know of no deadline around: for work that goes on when whoever began it has gone.

    What is awaited inside is not shielded; it only isn't told.
    """
    before = _deadline.get()
    _deadline.set(None)
    try:
        yield
    finally:
        _deadline.set(before)


def context_deadline(clock: Clock) -> float | None:
    """What `within` set around the caller, as a time of this clock."""
    found = _deadline.get()
    if found is None:
        return None
    if found[0] is clock:
        return found[1]
    return clock.now() + (found[1] - found[0].now())


_machine = Clock()
