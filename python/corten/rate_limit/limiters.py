"""Limiters as objects, for use without a pipeline: four algorithms, each for all calls and for each key."""

from __future__ import annotations

import math
from typing import Self

from corten import _core
from corten.clock import Clock
from corten.errors import RateLimited


class SharedCounts:
    """What was asked of a backend that processes share, by this process."""

    __slots__ = ("admitted", "degraded", "degraded_since", "refused", "waited")

    def __init__(self) -> None:
        self.admitted = self.refused = self.waited = 0
        self.degraded = 0
        """Requests that this process decided alone, as the backend could not be reached."""
        self.degraded_since: float | None = None

    def count(self, *, granted: bool, waited: bool) -> None:
        """One more that was asked."""
        if granted:
            self.admitted += 1
            self.waited += waited
        else:
            self.refused += 1


DEFAULT_KEYS = 1_048_576
"""Keys for which there is room unless said otherwise."""


class Limiter(_core.Limiter):
    """One limit for all who ask: what the four limiters without keys have in common."""

    __slots__ = ("_clock", "shared")
    _clock: Clock
    shared: SharedCounts
    """For a pipeline's limit that processes share: what their backend was asked."""

    @classmethod
    def _made(cls, algorithm: str, rate: str | float, burst: int | None, clock: Clock | None) -> Self:
        clock = clock if clock is not None else Clock()
        made = _core.Limiter.__new__(cls, algorithm, rate, burst, clock)
        made._clock, made.shared = clock, SharedCounts()
        return made

    async def acquire(self, n: int = 1, *, max_wait: float | None = None) -> float:
        """Take ``n`` tokens, waiting for them where need be, first come, first served; gives the seconds waited.

        Where there are tokens it does not yield to others. Who is cancelled while waiting gives them back, unless
        others came behind: those keep the times that they were told.

        :param max_wait: the longest to wait, in seconds; None: as long as it takes
        :raises RateLimited: it would be longer, or the queue of a leaky bucket is full; nothing was taken
        :raises ValueError: ``n`` is more than there can ever be
        """
        wait, claim = self._reserve(n, max_wait)
        if claim:
            try:
                await self._clock.sleep(wait)
            except BaseException:
                self.cancel(claim, n)
                raise
        return wait

    def block(self, n: int = 1, *, max_wait: float | None = None) -> float:
        """The same for plain functions: blocks this thread, which should not be one that runs an event loop."""
        wait, claim = self._reserve(n, max_wait)
        if claim:
            try:
                self._clock.block(wait)
            except BaseException:
                self.cancel(claim, n)
                raise
        return wait

    def _reserve(self, n: int, max_wait: float | None) -> tuple[float, int]:
        granted, wait, claim = self.reserve(n, math.inf if max_wait is None else max_wait)
        if not granted:
            raise RateLimited("", "rate_limit", f"{type(self).__name__} has no token in time", wait)
        return wait, claim


class KeyedLimiter(_core.KeyedLimiter):
    """A limit for each key, in bounded memory: what the four keyed limiters have in common."""

    __slots__ = ("_clock", "shared")
    _clock: Clock
    shared: SharedCounts
    """For a pipeline's limit that processes share: what their backend was asked."""

    @classmethod
    def _made(
        cls,
        algorithm: str,
        rate: str | float,
        burst: int | None,
        capacity: int,
        clock: Clock | None,
    ) -> Self:
        clock = clock if clock is not None else Clock()
        made = _core.KeyedLimiter.__new__(cls, algorithm, rate, burst, capacity, clock)
        made._clock, made.shared = clock, SharedCounts()
        return made

    async def acquire(self, key: object, n: int = 1, *, max_wait: float | None = None) -> float:
        """Take ``n`` tokens of a key, waiting for them where need be; see `Limiter.acquire`.

        :raises TypeError: the key is not hashable
        """
        wait, claim = self._reserve(key, n, max_wait)
        if claim:
            try:
                await self._clock.sleep(wait)
            except BaseException:
                self.cancel(key, claim, n)
                raise
        return wait

    def block(self, key: object, n: int = 1, *, max_wait: float | None = None) -> float:
        """The same for plain functions: blocks this thread."""
        wait, claim = self._reserve(key, n, max_wait)
        if claim:
            try:
                self._clock.block(wait)
            except BaseException:
                self.cancel(key, claim, n)
                raise
        return wait

    def _reserve(self, key: object, n: int, max_wait: float | None) -> tuple[float, int]:
        granted, wait, claim = self.reserve(key, n, math.inf if max_wait is None else max_wait)
        if not granted:
            raise RateLimited("", "rate_limit", f"{type(self).__name__} has no token in time", wait)
        return wait, claim


class TokenBucket(Limiter):
    """``burst`` tokens at first, refilled at ``rate``: a burst after a quiet time, the rate over a long one.

    GCRA (ITU-T I.371) in one atomic number; rates are kept as whole nanoseconds a token.

    :param rate: a text such as ``"100/s"``, or tokens a second
    :param burst: tokens a full bucket holds; None: the number before the slash, at least 1
    :raises ValueError: not a rate, or a burst below 1
    """

    __slots__ = ()

    def __new__(cls, rate: str | float, burst: int | None = None, clock: Clock | None = None) -> Self:
        """Full."""
        return cls._made("token_bucket", rate, burst, clock)


class LeakyBucket(Limiter):
    """A queue with a steady outflow: one interval between any two, no burst after a quiet time.

    ``tokens()`` is the room left in the queue. The leaky bucket as a queue (Turner, 1986), as nginx's ``limit_req``.

    :param rate: a text such as ``"100/s"``, or calls a second
    :param burst: how many it holds, the one that goes now and those that wait; None: the number before the slash
    :raises ValueError: not a rate, or a burst below 1
    """

    __slots__ = ()

    def __new__(cls, rate: str | float, burst: int | None = None, clock: Clock | None = None) -> Self:
        """Empty."""
        return cls._made("leaky_bucket", rate, burst, clock)


class SlidingWindow(Limiter):
    """So many in any period, by two counters: this window's, and the previous one's share that still overlaps.

    An estimate that takes calls to have come evenly (as Cloudflare's, 2017); sixteen bytes whatever the limit.

    :param rate: whole calls in a time, such as ``"100/min"``; a number is calls in each second
    :raises ValueError: not a rate, or not a whole number of calls
    """

    __slots__ = ()

    def __new__(cls, rate: str | float, clock: Clock | None = None) -> Self:
        """Nothing used yet."""
        return cls._made("sliding_window", rate, None, clock)


class FixedWindow(Limiter):
    """So many from one multiple of the period, by the clock's own scale, to the next.

    :param rate: whole calls in a time, such as ``"100/min"``; a number is calls in each second
    :raises ValueError: not a rate, or not a whole number of calls
    """

    __slots__ = ()

    def __new__(cls, rate: str | float, clock: Clock | None = None) -> Self:
        """Nothing used yet."""
        return cls._made("fixed_window", rate, None, clock)


class KeyedTokenBucket(KeyedLimiter):
    """A token bucket for each key, in bounded memory: 48 bytes a key of the capacity, allocated as it is used.

    A key is any hashable value, known by 64 bits of a randomly keyed hash. Keys with a full bucket take no room. When
    too many are live at once the fullest bucket near the new one is given up: that key finds a full one when it comes
    again (counted in ``evictions``; with as many live keys as the capacity, about one in a hundred).

    :param rate: a text such as ``"100/s"``, or tokens a second, for each key
    :param burst: tokens a full bucket holds; None: the number before the slash, at least 1
    :param capacity: keys for which there is room, 1 to 2**32
    :raises ValueError: not a rate, a burst below 1, or a capacity out of range
    """

    __slots__ = ()

    def __new__(
        cls, rate: str | float, burst: int | None = None, capacity: int = DEFAULT_KEYS, clock: Clock | None = None
    ) -> Self:
        """All full."""
        return cls._made("token_bucket", rate, burst, capacity, clock)


class KeyedLeakyBucket(KeyedLimiter):
    """A `LeakyBucket` for each key; memory and bounds as of `KeyedTokenBucket`."""

    __slots__ = ()

    def __new__(
        cls, rate: str | float, burst: int | None = None, capacity: int = DEFAULT_KEYS, clock: Clock | None = None
    ) -> Self:
        """All empty."""
        return cls._made("leaky_bucket", rate, burst, capacity, clock)


class KeyedSlidingWindow(KeyedLimiter):
    """A `SlidingWindow` for each key; memory and bounds as of `KeyedTokenBucket`."""

    __slots__ = ()

    def __new__(cls, rate: str | float, capacity: int = DEFAULT_KEYS, clock: Clock | None = None) -> Self:
        """Nothing used yet."""
        return cls._made("sliding_window", rate, None, capacity, clock)


class KeyedFixedWindow(KeyedLimiter):
    """A `FixedWindow` for each key; memory and bounds as of `KeyedTokenBucket`."""

    __slots__ = ()

    def __new__(cls, rate: str | float, capacity: int = DEFAULT_KEYS, clock: Clock | None = None) -> Self:
        """Nothing used yet."""
        return cls._made("fixed_window", rate, None, capacity, clock)


def limiter(algorithm: str, rate: str | float, burst: int | None, clock: Clock) -> Limiter:
    """A limiter by the name of its algorithm.

    :raises ValueError: not a limit
    """
    match algorithm:
        case "leaky_bucket":
            return LeakyBucket(rate, burst, clock)
        case "sliding_window":
            return SlidingWindow(rate, clock)
        case "fixed_window":
            return FixedWindow(rate, clock)
        case _:
            return TokenBucket(rate, burst, clock)


def keyed_limiter(algorithm: str, rate: str | float, burst: int | None, capacity: int, clock: Clock) -> KeyedLimiter:
    """A keyed limiter by the name of its algorithm.

    :raises ValueError: not a limit
    """
    match algorithm:
        case "leaky_bucket":
            return KeyedLeakyBucket(rate, burst, capacity, clock)
        case "sliding_window":
            return KeyedSlidingWindow(rate, capacity, clock)
        case "fixed_window":
            return KeyedFixedWindow(rate, capacity, clock)
        case _:
            return KeyedTokenBucket(rate, burst, capacity, clock)
