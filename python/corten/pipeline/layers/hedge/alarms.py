"""Alarms of many calls behind one timer of the event loop: most are taken back before they go off."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from corten.clock import Clock

_FEW = 64
"""So many alarms that were taken back are not worth a look."""


class Alarm(list[Any]):
    """When it goes off, its number, and what is called then; None: it was taken back."""

    __slots__ = ()


class Alarms:
    """Those of one event loop, on one clock.

    A timer of the loop costs two microseconds, an alarm a tenth of that. One that is taken back lets go of what it
    would have called at once, and leaves when its time has come, or when most are such.
    """

    __slots__ = ("_back", "_clock", "_heap", "_numbers", "_wakes_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Alarm] = []
        self._numbers = itertools.count()
        self._wakes_at = float("inf")
        self._back = 0

    def __len__(self) -> int:
        return len(self._heap) - self._back

    def set(self, deadline: float, callback: Callable[[], object]) -> Alarm:
        """Have ``callback`` called when the clock shows ``deadline``, never before."""
        alarm = Alarm((deadline, next(self._numbers), callback))
        heapq.heappush(self._heap, alarm)
        if deadline < self._wakes_at:
            try:
                self._wake_at(deadline)
            except BaseException:
                self.take_back(alarm)
                raise
        return alarm

    def take_back(self, alarm: Alarm) -> None:
        """Let it not go off; nothing where it has."""
        if alarm[2] is None:
            return
        alarm[2] = None
        self._back += 1
        if self._back > _FEW and self._back * 2 > len(self._heap):
            self._heap = [each for each in self._heap if each[2] is not None]
            heapq.heapify(self._heap)
            self._back = 0

    def _wake_at(self, deadline: float) -> None:
        self._wakes_at = deadline
        try:
            self._clock.call_at(deadline, partial(self._go_off, deadline))
        except BaseException:
            self._wakes_at = float("inf")  # there is no timer, and the next alarm must set one
            raise

    def _go_off(self, set_for: float) -> None:
        """The loop's timer: those that are due. One that was set for a later time before stays, and finds nothing.

        The loop goes by a clock of its own: it may go off a little early as well, and then is set again.
        """
        now = self._clock.now()
        if self._wakes_at == set_for:
            self._wakes_at = float("inf")
        due: list[Callable[[], object]] = []
        while self._heap and (self._heap[0][2] is None or self._heap[0][0] <= now):
            alarm = heapq.heappop(self._heap)
            if alarm[2] is None:
                self._back -= 1
            else:
                due.append(alarm[2])
                alarm[2] = None
        if self._heap and self._heap[0][0] < self._wakes_at:
            self._wake_at(self._heap[0][0])
        for callback in due:
            callback()
