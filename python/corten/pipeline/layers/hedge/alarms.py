"""Alarms of many calls behind one timer of the event loop."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from corten.clock import Clock

_FEW = 64
"""Cancelled alarms that are not worth removing."""


class Alarm(list[Any]):
    """Deadline, number, and callback; None: it was cancelled."""

    __slots__ = ()


class Alarms:
    """The alarms of one event loop, on one clock.

    A timer of the loop costs two microseconds, an alarm a tenth of a timer. A cancelled alarm drops its callback at
    once; it leaves the heap at its deadline, or when most alarms in the heap are cancelled.
    """

    __slots__ = ("_cancelled", "_clock", "_heap", "_numbers", "_wakes_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Alarm] = []
        self._numbers = itertools.count()
        self._wakes_at = float("inf")
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def set(self, deadline: float, callback: Callable[[], object]) -> Alarm:
        """Call ``callback`` when the clock shows ``deadline``, never before."""
        alarm = Alarm((deadline, next(self._numbers), callback))
        heapq.heappush(self._heap, alarm)
        if deadline < self._wakes_at:
            try:
                self._wake_at(deadline)
            except BaseException:
                self.cancel(alarm)
                raise
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Cancel an alarm, unless it has gone off."""
        if alarm[2] is None:
            return
        alarm[2] = None
        self._cancelled += 1
        if self._cancelled > _FEW and self._cancelled * 2 > len(self._heap):
            self._heap = [each for each in self._heap if each[2] is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def _wake_at(self, deadline: float) -> None:
        self._wakes_at = deadline
        try:
            self._clock.call_at(deadline, partial(self._go_off, deadline))
        except BaseException:
            self._wakes_at = float("inf")  # no timer: the next alarm must set one
            raise

    def _go_off(self, set_for: float) -> None:
        """Call the due callbacks.

        A timer for a later deadline stays set, and finds nothing. The loop has a clock of its own, so a timer may also
        go off a little early; then it is set again.
        """
        now = self._clock.now()
        if self._wakes_at == set_for:
            self._wakes_at = float("inf")
        due: list[Callable[[], object]] = []
        while self._heap and (self._heap[0][2] is None or self._heap[0][0] <= now):
            alarm = heapq.heappop(self._heap)
            if alarm[2] is None:
                self._cancelled -= 1
            else:
                due.append(alarm[2])
                alarm[2] = None
        if self._heap and self._heap[0][0] < self._wakes_at:
            self._wake_at(self._heap[0][0])
        for callback in due:
            callback()
