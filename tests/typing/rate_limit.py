"""Types of limiters, in and out of pipelines; checked, not run."""

from __future__ import annotations

from typing import assert_type

from corten import Pipeline, RateLimit
from corten.pipeline import RateLimitControl
from corten.rate_limit import (
    FixedWindow,
    KeyedLimiter,
    KeyedSlidingWindow,
    LeakyBucket,
    Limiter,
    RateLimitStatistics,
    TokenBucket,
)


def by_tenant(user: str) -> str:
    return user.partition("@")[2]


guard = Pipeline("typed", RateLimit("5/s", key=by_tenant, cost="size", algorithm="sliding_window"))
RateLimit("5/s", algorithm="guess")  # type: ignore[arg-type]


async def use(any_limiter: Limiter, any_keyed: KeyedLimiter) -> None:
    assert_type(TokenBucket("5/s"), TokenBucket)
    assert_type(LeakyBucket("5/s", 10).try_acquire(), float)
    assert_type(await FixedWindow(5).acquire(2, max_wait=1.0), float)
    assert_type(await KeyedSlidingWindow("5/min").acquire(("any", 1)), float)
    assert_type(any_limiter.acquire_sync(), float)
    assert_type(any_keyed.statistics(), RateLimitStatistics)
    assert_type(guard.rate_limits, tuple[RateLimitControl, ...])
    assert_type(guard.rate_limits[0].estimate(key="ann"), float)
    window: Limiter = FixedWindow("5/s")
    assert_type(window.tokens(), float)
