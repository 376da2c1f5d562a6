"""Limiters and their peers by algorithm, for all calls or by key."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from harness import Case, check, compare, optional

from corten.rate_limit import (
    FixedWindow,
    KeyedFixedWindow,
    KeyedSlidingWindow,
    KeyedTokenBucket,
    LeakyBucket,
    SlidingWindow,
    TokenBucket,
)

RATE = 10**8  # never refuses: the bench measures admission
MILLION = 1_000_000

aiolimiter = optional("aiolimiter")
limits = optional("limits")
throttled = optional("throttled")
pyrate = optional("pyrate_limiter")


class Floor:
    """The least possible method in Python: the floor."""

    def __init__(self) -> None:
        self.arrival = 0.0

    def try_acquire(self) -> float:
        return self.arrival


def limits_case(key: str, strategy: str = "FixedWindowRateLimiter") -> Case | None:
    if limits is None:
        return None
    from limits import storage, strategies

    limiter = getattr(strategies, strategy)(storage.MemoryStorage())
    return Case("hit(item, key)", hit=limiter.hit, item=limits.RateLimitItemPerSecond(RATE), key=key)


def throttled_case(key: str, algorithm: str = "gcra") -> Case | None:
    if throttled is None:
        return None
    limiter = throttled.Throttled(
        using=algorithm,
        quota=throttled.rate_limiter.per_sec(10**6, burst=10**6),
        store=throttled.store.MemoryStore(),
    )
    return Case("limit(key)", limit=limiter.limit, key=key)


def pyrate_case() -> Case | None:
    if pyrate is None:
        return None
    limiter = pyrate.Limiter(pyrate.Rate(10**6, pyrate.Duration.SECOND))
    return Case("acquire('a', blocking=False)", acquire=limiter.try_acquire)


def aiolimiter_case() -> Case | None:
    if aiolimiter is None:
        return None

    async def make() -> Any:
        return aiolimiter.AsyncLimiter(RATE, 1)

    return Case("await acquire()", acquire=asyncio.run(make()).acquire)


def keyed(keys: list[Any], asking: int = 200_000) -> Case:
    """Measure a limiter of many keys, in random order."""
    bucket = KeyedTokenBucket(1_000, burst=1_000_000)
    for key in keys:
        bucket.try_acquire(key)
    asked = random.Random(3).sample(keys, k=min(len(keys), asking))
    names = {"acquire": bucket.try_acquire, "keys": asked}
    return Case("for key in keys: acquire(key)", operations=len(asked), baseline="for key in keys: pass", **names)


def main() -> None:
    compare(
        "rate_limit: try_acquire",
        {
            "corten": Case("acquire()", acquire=TokenBucket(RATE).try_acquire),
            "corten, refused": Case("acquire()", acquire=drained().try_acquire),
            "aiolimiter": aiolimiter_case(),
            "limits": limits_case("a"),
            "throttled-py (gcra)": throttled_case("a"),
            "pyrate-limiter": pyrate_case(),
            "a Python method": Case("acquire()", acquire=Floor().try_acquire),
        },
        floor="a Python method",
        targets={"aiolimiter": 1 / 15},
    )
    compare(
        "rate_limit: try_acquire of a key",
        {
            "corten": Case("acquire(key)", acquire=KeyedTokenBucket(RATE).try_acquire, key="user:1"),
            "limits": limits_case("user:1"),
            "throttled-py (gcra)": throttled_case("user:1"),
            "a Python method": Case("acquire()", acquire=Floor().try_acquire),
        },
        floor="a Python method",
        targets={"limits": 1 / 30},
    )
    floor = Case("acquire()", acquire=Floor().try_acquire)
    compare(
        "rate_limit: leaky bucket",
        {
            "corten": Case("acquire()", acquire=LeakyBucket(RATE, RATE).try_acquire),
            "throttled-py (leaking_bucket)": throttled_case("a", "leaking_bucket"),
            "pyrate-limiter": pyrate_case(),
            "a Python method": floor,
        },
        floor="a Python method",
    )
    compare(
        "rate_limit: sliding window",
        {
            "corten": Case("acquire()", acquire=SlidingWindow(RATE).try_acquire),
            "corten, a key": Case("acquire(key)", acquire=KeyedSlidingWindow(RATE).try_acquire, key="user:1"),
            "limits (two counters)": limits_case("a", "SlidingWindowCounterRateLimiter"),
            "throttled-py (sliding_window)": throttled_case("a", "sliding_window"),
            "a Python method": floor,
        },
        floor="a Python method",
    )
    compare(
        "rate_limit: fixed window",
        {
            "corten": Case("acquire()", acquire=FixedWindow(RATE).try_acquire),
            "corten, a key": Case("acquire(key)", acquire=KeyedFixedWindow(RATE).try_acquire, key="user:1"),
            "limits": limits_case("a"),
            "throttled-py (fixed_window)": throttled_case("a", "fixed_window"),
            "a Python method": floor,
        },
        floor="a Python method",
    )
    words = [f"user:{number}" for number in range(MILLION)]
    compare(
        "rate_limit: keys in random order; the rise is the memory's own, of strings and dict alike",
        {
            "1,000 words": keyed(words[:1_000]),
            "1,000 words of 1,000,000": keyed(words, asking=1_000),
            "1,000,000 words": keyed(words),
            "1,000 numbers": keyed(list(range(1_000))),
            "1,000,000 numbers": keyed(list(range(MILLION))),
            "dict.get, 1,000,000 words": dict_of(words),
        },
        ours="1,000,000 words",
        rounds=5,
    )
    bucket = KeyedTokenBucket("1/h", burst=1)
    window = KeyedSlidingWindow("1/h")
    for word in words:
        bucket.try_acquire(word)
        window.try_acquire(word)
    check("rate_limit: a million live keys", "memory", bucket.statistics().bytes / MILLION, 64, " bytes a key")
    check(
        "rate_limit: a million live keys in windows", "memory", window.statistics().bytes / MILLION, 64, " bytes a key"
    )


def drained() -> TokenBucket:
    bucket = TokenBucket("1/d", burst=1)
    bucket.try_acquire()
    return bucket


def dict_of(keys: list[str]) -> Case:
    asked = random.Random(3).sample(keys, k=200_000)
    names = {"get": dict.fromkeys(keys).get, "keys": asked}
    return Case("for key in keys: get(key)", operations=len(asked), baseline="for key in keys: pass", **names)


if __name__ == "__main__":
    main()
