"""Control of a pipeline's rate limit while it runs."""

from __future__ import annotations

import msgspec

from corten.pipeline.controls.control import Control
from corten.rate_limit import KeyedLimiter, Limiter, RateLimitStatistics


class RateLimitControl(Control):
    """Control of one rate limit; a limit by keys takes ``key`` in each method.

    For a limit that processes share, controls this process's limiter, which decides while the backend can't be
    reached; `replace` sets the rate of both.
    """

    def __init__(self, limiter: Limiter | KeyedLimiter) -> None:
        self.limiter = limiter

    def __repr__(self) -> str:
        return f"<rate_limit: {self.limiter!r}>"

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.limiter.rate

    @property
    def burst(self) -> int:
        """The most tokens there can be."""
        return self.limiter.burst

    @property
    def keyed(self) -> bool:
        """Whether each key has its own limit."""
        return isinstance(self.limiter, KeyedLimiter)

    def estimate(self, cost: int = 1, *, key: object = None) -> float:
        """Return the seconds until a call would be let through; takes and counts nothing.

        :raises ValueError: the limit never holds that many tokens
        """
        if isinstance(self.limiter, KeyedLimiter):
            return self.limiter.estimate(key, cost)
        return self.limiter.estimate(cost)

    def tokens(self, *, key: object = None) -> float:
        """Return the tokens left now."""
        if isinstance(self.limiter, KeyedLimiter):
            return self.limiter.tokens(key)
        return self.limiter.tokens()

    def add_tokens(self, n: int = 1, *, key: object = None) -> None:
        """Add tokens, up to ``burst``."""
        if isinstance(self.limiter, KeyedLimiter):
            self.limiter.add_tokens(key, n)
        else:
            self.limiter.add_tokens(n)

    def replace(self, rate: str | float, burst: int | None = None) -> None:
        """Set another rate until policies are configured again; waiting calls keep their times.

        A bucket keeps its tokens, up to the new burst; a window keeps its count.

        :raises ValueError: not a limit; the old one stays
        """
        self.limiter.replace(rate, burst)

    def quick_statistics(self) -> RateLimitStatistics:
        """Return the statistics without live keys beyond a megabyte of slots."""
        return self.statistics(thorough=False)

    def statistics(self, *, thorough: bool = True) -> RateLimitStatistics:
        """Return the counts, and the number and memory of keys.

        For a limit that processes share, the counts are of this process's requests, wherever they were decided.

        :param thorough: count live keys beyond a megabyte of slots too; a million keys take tens of milliseconds, so
            the pipeline's own statistics and metrics leave them out
        """
        limiter = self.limiter
        own = limiter.statistics(thorough) if isinstance(limiter, KeyedLimiter) else limiter.statistics()
        shared = limiter.shared
        return msgspec.structs.replace(
            own,
            admitted=own.admitted + shared.admitted,
            refused=own.refused + shared.refused,
            waited=own.waited + shared.waited,
            degraded=shared.degraded,
        )
