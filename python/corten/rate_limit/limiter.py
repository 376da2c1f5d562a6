"""Asking a limiter for tokens and waiting for them, for all callers together or for each key."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import ClassVar, Literal, Self

from corten import _core
from corten.clock import Clock
from corten.errors import RateLimited
from corten.rate_limit.statistics import SharedCounts

Algorithm = Literal["token_bucket", "leaky_bucket", "sliding_window", "fixed_window"]
"""How a limiter counts."""
DEFAULT_KEYS = 1_048_576
"""The default capacity of a keyed limiter."""


class Limiter(_core.Limiter):
    """One limit for all callers; the base of the four limiters without keys."""

    __slots__ = ("_clock", "shared")
    algorithm: ClassVar[Algorithm]
    _clock: Clock
    shared: SharedCounts
    """Counts of the shared backend, where a pipeline shares this limit between processes."""

    def __new__(cls, rate: str | float, burst: int | None = None, clock: Clock | None = None) -> Self:
        """Make a limiter with all its tokens."""
        clock = clock if clock is not None else Clock()
        made = _core.Limiter.__new__(cls, cls.algorithm, rate, burst, clock)
        made._clock, made.shared = clock, SharedCounts()
        return made

    async def acquire(self, n: int = 1, *, max_wait: float | None = None) -> float:
        """Take ``n`` tokens, first come, first served, and return the seconds waited.

        Does not yield to the event loop where the tokens are there. A waiter that is cancelled gives its tokens back,
        unless other waiters came later: they keep the times that they were given.

        :param max_wait: the longest time to wait, in seconds; None: no limit
        :raises RateLimited: the wait would be longer, or the queue of a leaky bucket is full; no token was taken
        :raises ValueError: ``n`` is more than the limiter ever holds
        """
        wait, claim = self._reserve(n, max_wait)
        if claim:
            with tokens_returned_on_error(self.cancel, claim, n):
                await self._clock.sleep(wait)
        return wait

    def acquire_sync(self, n: int = 1, *, max_wait: float | None = None) -> float:
        """Do as `acquire`, and block this thread, which must not run an event loop."""
        wait, claim = self._reserve(n, max_wait)
        if claim:
            with tokens_returned_on_error(self.cancel, claim, n):
                self._clock.block(wait)
        return wait

    def _reserve(self, n: int, max_wait: float | None) -> tuple[float, int]:
        return _granted(self, self.reserve(n, math.inf if max_wait is None else max_wait))


class KeyedLimiter(_core.KeyedLimiter):
    """One limit for each key, in bounded memory; the base of the four keyed limiters."""

    __slots__ = ("_clock", "shared")
    algorithm: ClassVar[Algorithm]
    _clock: Clock
    shared: SharedCounts
    """Counts of the shared backend, where a pipeline shares this limit between processes."""

    def __new__(
        cls, rate: str | float, burst: int | None = None, capacity: int = DEFAULT_KEYS, clock: Clock | None = None
    ) -> Self:
        """Make a limiter in which each key has all its tokens."""
        clock = clock if clock is not None else Clock()
        made = _core.KeyedLimiter.__new__(cls, cls.algorithm, rate, burst, capacity, clock)
        made._clock, made.shared = clock, SharedCounts()
        return made

    async def acquire(self, key: object, n: int = 1, *, max_wait: float | None = None) -> float:
        """Take ``n`` tokens of a key, and wait for them; see `Limiter.acquire`.

        :raises TypeError: the key is not hashable
        """
        wait, claim = self._reserve(key, n, max_wait)
        if claim:
            with tokens_returned_on_error(self.cancel, key, claim, n):
                await self._clock.sleep(wait)
        return wait

    def acquire_sync(self, key: object, n: int = 1, *, max_wait: float | None = None) -> float:
        """Do as `acquire`, and block this thread, which must not run an event loop."""
        wait, claim = self._reserve(key, n, max_wait)
        if claim:
            with tokens_returned_on_error(self.cancel, key, claim, n):
                self._clock.block(wait)
        return wait

    def _reserve(self, key: object, n: int, max_wait: float | None) -> tuple[float, int]:
        return _granted(self, self.reserve(key, n, math.inf if max_wait is None else max_wait))


def _granted(limiter: Limiter | KeyedLimiter, reservation: tuple[bool, float, int]) -> tuple[float, int]:
    """Return the seconds to wait and the claim.

    :raises RateLimited: the tokens were not taken
    """
    granted, wait, claim = reservation
    if not granted:
        raise RateLimited("", "rate_limit", f"{type(limiter).__name__} has no token in time", wait)
    return wait, claim


@contextmanager
def tokens_returned_on_error(cancel: Callable[..., None], *reservation: object) -> Generator[None]:
    """Cancel a reservation if the wait for it fails or is cancelled."""
    try:
        yield
    except BaseException:
        cancel(*reservation)
        raise
