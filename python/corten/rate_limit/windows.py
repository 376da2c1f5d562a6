"""Sliding windows and fixed windows, which count whole calls in a period."""

from __future__ import annotations

from typing import Self

from corten.clock import Clock
from corten.rate_limit.limiter import DEFAULT_KEYS, KeyedLimiter, Limiter


class SlidingWindow(Limiter):
    """A limit in any period, by two counters: this window's and the previous one's.

    The previous counter weighs as much as its window still overlaps the period. An estimate that takes calls to have
    come evenly (Cloudflare, 2017); sixteen bytes for any limit.

    :param rate: whole calls in a period, such as ``"100/min"``; a number is calls per second
    :raises ValueError: not a rate, or not a whole number of calls
    """

    __slots__ = ()
    algorithm = "sliding_window"

    def __new__(cls, rate: str | float, clock: Clock | None = None) -> Self:
        """Make an unused window."""
        return super().__new__(cls, rate, None, clock)


class FixedWindow(Limiter):
    """A limit in each period, which begins at a multiple of the period on the clock's scale.

    :param rate: whole calls in a period, such as ``"100/min"``; a number is calls per second
    :raises ValueError: not a rate, or not a whole number of calls
    """

    __slots__ = ()
    algorithm = "fixed_window"

    def __new__(cls, rate: str | float, clock: Clock | None = None) -> Self:
        """Make an unused window."""
        return super().__new__(cls, rate, None, clock)


class KeyedSlidingWindow(KeyedLimiter):
    """A `SlidingWindow` for each key, in bounded memory as in `KeyedTokenBucket`."""

    __slots__ = ()
    algorithm = "sliding_window"

    def __new__(cls, rate: str | float, capacity: int = DEFAULT_KEYS, clock: Clock | None = None) -> Self:
        """Make unused windows."""
        return super().__new__(cls, rate, None, capacity, clock)


class KeyedFixedWindow(KeyedLimiter):
    """A `FixedWindow` for each key, in bounded memory as in `KeyedTokenBucket`."""

    __slots__ = ()
    algorithm = "fixed_window"

    def __new__(cls, rate: str | float, capacity: int = DEFAULT_KEYS, clock: Clock | None = None) -> Self:
        """Make unused windows."""
        return super().__new__(cls, rate, None, capacity, clock)
