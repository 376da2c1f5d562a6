"""Rate limiters as objects, and what a backend shares between processes."""

from corten.rate_limit.backend import LimiterBackend, SharedLimit, Verdict
from corten.rate_limit.buckets import KeyedLeakyBucket, KeyedTokenBucket, LeakyBucket, TokenBucket
from corten.rate_limit.limiter import KeyedLimiter, Limiter
from corten.rate_limit.statistics import RateLimitStatistics
from corten.rate_limit.windows import FixedWindow, KeyedFixedWindow, KeyedSlidingWindow, SlidingWindow

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
