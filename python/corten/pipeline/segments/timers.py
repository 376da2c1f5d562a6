"""The deadlines of each asyncio loop."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from corten._core import Timers
from corten.clock import Clock

if TYPE_CHECKING:
    import asyncio

_timers: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakKeyDictionary[Clock, Timers]] = WeakKeyDictionary()


def timers_of(loop: asyncio.AbstractEventLoop, clock: Clock) -> Timers:
    """Return the deadlines of a loop and clock; called once for each pipeline."""
    by_clock = _timers.setdefault(loop, WeakKeyDictionary())
    found = by_clock.get(clock)
    if found is None:
        found = by_clock[clock] = Timers(clock.core, clock)
    return found
