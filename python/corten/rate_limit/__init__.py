"""Rate limiters as objects, for use without a pipeline, and what shares their counts."""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names

if TYPE_CHECKING:
    from corten.policies.rate_limit import RateLimitStatistics
    from corten.rate_limit.backend import LimiterBackend, SharedLimit, Verdict
    from corten.rate_limit.limiters import (
        FixedWindow,
        KeyedFixedWindow,
        KeyedLeakyBucket,
        KeyedLimiter,
        KeyedSlidingWindow,
        KeyedTokenBucket,
        LeakyBucket,
        Limiter,
        SlidingWindow,
        TokenBucket,
    )

__all__ = [
    "FixedWindow",
    "KeyedFixedWindow",
    "KeyedLeakyBucket",
    "KeyedLimiter",
    "KeyedSlidingWindow",
    "KeyedTokenBucket",
    "LeakyBucket",
    "Limiter",
    "LimiterBackend",
    "RateLimitStatistics",
    "SharedLimit",
    "SlidingWindow",
    "TokenBucket",
    "Verdict",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "FixedWindow": "corten.rate_limit.limiters",
        "KeyedFixedWindow": "corten.rate_limit.limiters",
        "KeyedLeakyBucket": "corten.rate_limit.limiters",
        "KeyedLimiter": "corten.rate_limit.limiters",
        "KeyedSlidingWindow": "corten.rate_limit.limiters",
        "KeyedTokenBucket": "corten.rate_limit.limiters",
        "LeakyBucket": "corten.rate_limit.limiters",
        "Limiter": "corten.rate_limit.limiters",
        "LimiterBackend": "corten.rate_limit.backend",
        "RateLimitStatistics": "corten.policies.rate_limit",
        "SharedLimit": "corten.rate_limit.backend",
        "SlidingWindow": "corten.rate_limit.limiters",
        "TokenBucket": "corten.rate_limit.limiters",
        "Verdict": "corten.rate_limit.backend",
    },
)
