"""Types of the in-process cache and the limiters; checked, not run."""

from typing import assert_type

from corten import RateLimit
from corten.cache import CacheStatistics, MemoryCache
from corten.clock import Clock
from corten.rate_limit import KeyedTokenBucket, RateLimitStatistics, TokenBucket


def weigh(key: str, value: bytes) -> int:
    return len(key) + len(value)


pages: MemoryCache[str, bytes] = MemoryCache(100, max_bytes=1_000, ttl=60, weigh=weigh, clock=Clock())
assert_type(MemoryCache(100, weigh=weigh), MemoryCache[str, bytes])
assert_type(MemoryCache[int, str](eviction="lru"), MemoryCache[int, str])
assert_type(pages["a"], bytes)
assert_type(pages.get("a"), bytes | None)
assert_type(pages.get("a", b""), bytes)
assert_type(pages.get("a", 0), bytes | int)
assert_type(pages.pop("a"), bytes)
assert_type(pages.pop("a", None), bytes | None)
assert_type(list(pages), list[str])
assert_type(pages.items(), list[tuple[str, bytes]])
assert_type(pages.statistics(), CacheStatistics)
pages.set("a", b"", ttl=float("inf"))
pages["a"] = "text"  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
MemoryCache[int, str](eviction="fifo")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

assert_type(TokenBucket("5/s").try_acquire(), float)
assert_type(KeyedTokenBucket(5, capacity=10).try_acquire(("any", "hashable")), float)
assert_type(TokenBucket("5/s").statistics(), RateLimitStatistics)
assert_type(RateLimit("5/s", burst=2).rate, str)
