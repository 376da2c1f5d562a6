"""Making limiters by the names of their algorithms."""

from __future__ import annotations

from corten.clock import Clock
from corten.rate_limit.buckets import KeyedLeakyBucket, KeyedTokenBucket, LeakyBucket, TokenBucket
from corten.rate_limit.limiter import Algorithm, KeyedLimiter, Limiter
from corten.rate_limit.windows import FixedWindow, KeyedFixedWindow, KeyedSlidingWindow, SlidingWindow

_LIMITERS: dict[Algorithm, type[Limiter]] = {
    each.algorithm: each for each in (TokenBucket, LeakyBucket, SlidingWindow, FixedWindow)
}
_KEYED_LIMITERS: dict[Algorithm, type[KeyedLimiter]] = {
    each.algorithm: each for each in (KeyedTokenBucket, KeyedLeakyBucket, KeyedSlidingWindow, KeyedFixedWindow)
}


def new_limiter(algorithm: Algorithm, rate: str | float, burst: int | None, clock: Clock) -> Limiter:
    """Return a limiter of this algorithm.

    :raises ValueError: not a limit
    """
    return Limiter.__new__(_LIMITERS[algorithm], rate, burst, clock)


def new_keyed_limiter(
    algorithm: Algorithm, rate: str | float, burst: int | None, capacity: int, clock: Clock
) -> KeyedLimiter:
    """Return a keyed limiter of this algorithm.

    :raises ValueError: not a limit
    """
    return KeyedLimiter.__new__(_KEYED_LIMITERS[algorithm], rate, burst, capacity, clock)
