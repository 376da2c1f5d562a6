"""Libraries with equal settings; None if not installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from harness import optional

from corten import Bulkhead, CircuitBreaker, Pipeline, RateLimit, Retry, Timeout
from corten.metrics import Registry

Function = Callable[[int], Awaitable[int]]

MANY = 10**9
# "All policies", outermost first.
FULL = (
    Retry(max_attempts=3),
    CircuitBreaker(),
    RateLimit(f"{MANY}/s", burst=MANY),
    Bulkhead(1000),
    Timeout(30.0),
)
TTL = 3600
ENTRIES = 10_000


async def bare(x: int) -> int:
    """Return: the floor."""
    return x


async def frame(x: int) -> int:
    """Wrap a function in the least possible wrapper in Python."""
    return await bare(x)


async def suspend(x: int) -> int:
    """Suspend once, for one turn of the loop."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, x)
    return await future


def guarded(function: Callable[..., Any], *policies: Any) -> Callable[..., Any]:
    """Guard a function by Corten, with metrics in a new registry."""
    pipeline = Pipeline("bench", registry=Registry())
    pipeline.configure(policies)
    return pipeline(function)


def pyresilience(function: Function) -> Function | None:
    p = optional("pyresilience")
    if p is None:
        return None
    wrapped: Function = p.resilient(
        retry=p.RetryConfig(),
        timeout=p.TimeoutConfig(seconds=30),
        circuit_breaker=p.CircuitBreakerConfig(),
        bulkhead=p.BulkheadConfig(max_concurrent=1000),
        rate_limiter=p.RateLimiterConfig(max_calls=MANY, period=1.0),
    )(function)
    return wrapped


def grelmicro(function: Function) -> Function | None:
    r = optional("grelmicro.resilience")
    if r is None or not hasattr(r, "Stack"):
        return None
    stack = r.Stack(
        "bench",
        patterns=[
            r.Timeout("bench", seconds=30),
            r.Retry("bench", when=OSError, attempts=3),
            r.CircuitBreaker("bench", backend=r.MemoryCircuitBreakerAdapter()),
            r.RateLimiter.token_bucket("bench", capacity=MANY, refill_rate=MANY, backend=r.MemoryRateLimiterAdapter()),
            r.Bulkhead("bench", max_concurrent=1000),
        ],
    )
    wrapped: Function = stack(function)
    return wrapped


def hyx(function: Function) -> Function | None:
    """Guard a function by hyx, which has no rate limit."""
    if optional("hyx") is None:
        return None
    bulkhead, breaker, retry, timeout = (
        import_module(f"hyx.{room}") for room in ("bulkhead", "circuitbreaker", "retry", "timeout")
    )
    wrapped: Function = bulkhead.bulkhead(max_concurrency=1000, max_capacity=1000)(function)
    wrapped = breaker.consecutive_breaker()(wrapped)
    wrapped = retry.retry(attempts=3)(wrapped)
    wrapped = timeout.timeout(30)(wrapped)
    return wrapped  # noqa: RET504 - a line for each layer


def separate_libraries(function: Function) -> Function | None:
    """Guard a function by aiolimiter, tenacity and asyncio's own time limit."""
    aiolimiter, tenacity = optional("aiolimiter"), optional("tenacity")
    if aiolimiter is None or tenacity is None:
        return None
    limiter = aiolimiter.AsyncLimiter(MANY, 1)

    async def limited(x: int) -> int:
        async with limiter, asyncio.timeout(30):
            return await function(x)

    wrapped: Function = tenacity.retry(stop=tenacity.stop_after_attempt(3))(limited)
    return wrapped


STACKS: dict[str, Callable[[Function], Function | None]] = {
    "pyresilience": pyresilience,
    "grelmicro": grelmicro,
    "hyx (no limit)": hyx,
    "aiolimiter + tenacity": separate_libraries,
}
"""Stacks of all policies, by library."""


def async_lru(function: Function) -> Function | None:
    m = optional("async_lru")
    return m and m.alru_cache(maxsize=ENTRIES, ttl=TTL)(function)


def cachebox(function: Function) -> Function | None:
    m = optional("cachebox")
    return m and m.cached(m.TTLCache(ENTRIES, TTL))(function)


def aiocache(function: Function) -> Function | None:
    m = optional("aiocache")
    return m and m.cached(ttl=TTL)(function)


def cashews(function: Function) -> Function | None:
    m = optional("cashews")
    if m is None:
        return None
    cache = m.Cache()
    cache.setup("mem://", size=ENTRIES)
    wrapped: Function = cache(ttl=TTL, key="{x}")(function)
    return wrapped


def pyresilience_cached(function: Function) -> Function | None:
    m = optional("pyresilience")
    return m and m.resilient(cache=m.CacheConfig(max_size=ENTRIES, ttl=TTL))(function)


CACHES: dict[str, Callable[[Function], Function | None]] = {
    "cachebox.cached": cachebox,
    "async_lru": async_lru,
    "pyresilience": pyresilience_cached,
    "aiocache": aiocache,
    "cashews": cashews,
}
"""Decorators that cache results of async functions."""
