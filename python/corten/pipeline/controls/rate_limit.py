"""A pipeline's rate limit, to be looked at and steered while it runs."""

from __future__ import annotations

import msgspec

from corten.pipeline.controls.control import Control
from corten.rate_limit import KeyedLimiter, Limiter, RateLimitStatistics


class RateLimitControl(Control):
    """One rate limit of a pipeline; good for as long as the pipeline has it. One with a key wants it in each verb.

    Of a limit that processes share it is this process's own, which counts while the shared one can't be reached;
    another rate holds for both.
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
        """Whether each key has a limit of its own."""
        return isinstance(self.limiter, KeyedLimiter)

    def estimate(self, cost: int = 1, *, key: object = None) -> float:
        """The seconds until a call would be let through, 0.0: now; takes and counts nothing.

        :raises ValueError: it never would be
        """
        if isinstance(self.limiter, KeyedLimiter):
            return self.limiter.estimate(key, cost)
        return self.limiter.estimate(cost)

    def tokens(self, *, key: object = None) -> float:
        """The tokens left now."""
        if isinstance(self.limiter, KeyedLimiter):
            return self.limiter.tokens(key)
        return self.limiter.tokens()

    def add_tokens(self, n: int = 1, *, key: object = None) -> None:
        """Give tokens back, or as a present; there are never more than ``burst``."""
        if isinstance(self.limiter, KeyedLimiter):
            self.limiter.add_tokens(key, n)
        else:
            self.limiter.add_tokens(n)

    def replace(self, rate: str | float, burst: int | None = None) -> None:
        """Another rate from now on, until policies are configured again; calls that wait keep their times.

        Tokens stay in a bucket, as far as the new burst holds them; in a window stays what was used.

        :raises ValueError: not a limit; then nothing has changed
        """
        self.limiter.replace(rate, burst)

    def quick_statistics(self) -> RateLimitStatistics:
        """Return the statistics without live keys beyond a megabyte of slots."""
        return self.statistics(thorough=False)

    def statistics(self, *, thorough: bool = True) -> RateLimitStatistics:
        """What it has counted; of one with keys also their number and memory.

        Of a limit that processes share it is what this process has asked for, wherever that was decided.

        :param thorough: count live keys however many slots are to be looked at: a million take tens of milliseconds,
            so the pipeline's own statistics and metrics leave them out beyond a megabyte of slots
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
