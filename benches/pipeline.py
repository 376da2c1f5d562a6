"""A call under policies next to the bare call and to what else does it: in one loop, interleaved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from harness import Case, compare_here, optional

from corten import Bulkhead, Cache, CircuitBreaker, Pipeline, RateLimit, Retry, Timeout
from corten.metrics import Registry

MANY = 10**9
FULL = (
    Timeout(30.0),
    Retry(max_attempts=3),
    CircuitBreaker(),
    RateLimit(f"{MANY}/s", burst=MANY),
    Bulkhead(1000),
)

pyresilience = optional("pyresilience")
hyx = optional("hyx")
tenacity = optional("tenacity")
stamina = optional("stamina")
aiolimiter = optional("aiolimiter")
async_lru = optional("async_lru")
aiocache = optional("aiocache")
cachebox = optional("cachebox")


async def bare(x: int) -> int:
    return x


async def frame(x: int) -> int:
    return await bare(x)


async def suspend(x: int) -> int:
    """Suspend once, for one turn of the loop."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, x)
    return await future


def guarded(function: Callable[..., Any], *policies: Any) -> Callable[..., Any]:
    pipeline = Pipeline("bench", registry=Registry())
    pipeline.configure(policies)
    return pipeline(function)


def under_pyresilience(function: Callable[..., Any]) -> Callable[..., Any] | None:
    if pyresilience is None:
        return None
    p = pyresilience
    return p.resilient(
        retry=p.RetryConfig(),
        timeout=p.TimeoutConfig(seconds=30),
        circuit_breaker=p.CircuitBreakerConfig(),
        bulkhead=p.BulkheadConfig(max_concurrent=1000),
        rate_limiter=p.RateLimiterConfig(max_calls=MANY, period=1.0),
    )(function)


def under_hyx(function: Callable[..., Any]) -> Callable[..., Any] | None:
    if hyx is None:
        return None
    bulkhead, breaker, retry, timeout = (
        import_module(f"hyx.{room}") for room in ("bulkhead", "circuitbreaker", "retry", "timeout")
    )
    function = bulkhead.bulkhead(max_concurrency=1000, max_capacity=1000)(function)
    function = breaker.consecutive_breaker()(function)
    function = retry.retry(attempts=3)(function)
    return timeout.timeout(30)(function)


def under_separate_libraries(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """A limit, a retry and a time limit, each by the library that people take for it."""
    if aiolimiter is None or tenacity is None:
        return None
    limiter = aiolimiter.AsyncLimiter(MANY, 1)

    async def limited(x: int) -> int:
        async with limiter, asyncio.timeout(30):
            return await function(x)

    return tenacity.retry(stop=tenacity.stop_after_attempt(3))(limited)


async def compare(title: str, cases: dict[str, Case | None], **options: Any) -> dict[str, float]:
    """Each is called once before it is measured: what is made or imported at the first call is not counted."""
    for case in cases.values():
        if case is not None:
            await case.names["call"](0)  # type: ignore[operator]
    return await compare_here(title, cases, **options)


def call(function: Callable[..., Any] | None) -> Case | None:
    return None if function is None else Case("await call(1)", call=function)


async def success() -> None:
    cases = {
        "bare await": call(bare),
        "a frame that only awaits": call(frame),
        "corten": call(guarded(bare, *FULL)),
        "corten, without policies": call(guarded(bare)),
        "pyresilience": call(under_pyresilience(bare)),
        "hyx (no limit)": call(under_hyx(bare)),
        "aiolimiter + tenacity + asyncio.timeout": call(under_separate_libraries(bare)),
    }
    await compare(
        "success, never suspends: limit + breaker + bulkhead + retry + timeout + metrics",
        cases,
        floor="bare await",
        targets={"bare await": 4.0},
    )


async def suspending() -> None:
    cases = {
        "bare await": call(suspend),
        "corten": call(guarded(suspend, *FULL)),
        "corten, without the timeout": call(guarded(suspend, *FULL[1:])),
        "pyresilience": call(under_pyresilience(suspend)),
        "hyx (no limit)": call(under_hyx(suspend)),
        "aiolimiter + tenacity + asyncio.timeout": call(under_separate_libraries(suspend)),
    }
    figures = await compare("success, suspends once: the same", cases, floor="bare await")
    added = figures["corten"] - figures["bare await"]
    print(f"  added by corten: {added:.0f} ns; target 700: {'met' if added <= 700 else 'MISSED'}")


async def hits() -> None:
    cases = {
        "bare await": call(bare),
        "corten": call(guarded(bare, Cache(ttl=3600), *FULL)),
        "async_lru": call(async_lru.alru_cache(maxsize=10_000, ttl=3600)(bare)) if async_lru else None,
        "cachebox.cached": call(cachebox.cached(cachebox.TTLCache(10_000, 3600))(bare)) if cachebox else None,
        "aiocache": call(aiocache.cached(ttl=3600)(bare)) if aiocache else None,
    }
    await compare("awaited cache hit", cases, floor="bare await", targets={"bare await": 1.9})


async def misses() -> None:
    """Each call is for another key; what a cache and single flight add to a call that does nothing."""

    def missing(function: Callable[..., Any] | None) -> Case | None:
        if function is None:
            return None
        serial = iter(range(10**12))
        return Case("await call(serial())", call=function, serial=serial.__next__, baseline="serial()")

    cases = {
        "bare await": missing(bare),
        "corten": missing(guarded(bare, Cache(ttl=3600))),
        "async_lru": missing(async_lru.alru_cache(maxsize=10_000, ttl=3600)(bare)) if async_lru else None,
        "cachebox.cached": missing(cachebox.cached(cachebox.TTLCache(10_000, 3600))(bare)) if cachebox else None,
        "aiocache": missing(aiocache.cached(ttl=3600)(bare)) if aiocache else None,
    }
    await compare("cache miss, full cache", cases, floor="bare await")


async def one_policy_at_a_time() -> None:
    async def timed(x: int) -> int:
        async with asyncio.timeout(30):
            return await bare(x)

    async def timed_suspending(x: int) -> int:
        async with asyncio.timeout(30):
            return await suspend(x)

    retried = {
        "bare await": call(bare),
        "corten": call(guarded(bare, Retry())),
        "stamina": call(stamina.retry(on=OSError)(bare)) if stamina else None,
        "tenacity": call(tenacity.retry(stop=tenacity.stop_after_attempt(3))(bare)) if tenacity else None,
    }
    await compare("retry alone, first attempt succeeds", retried, floor="bare await")
    cases: dict[str, Case | None] = {
        "bare await": call(bare),
        "corten": call(guarded(bare, Timeout(30))),
        "asyncio.timeout": call(timed),
    }
    await compare("timeout alone, never suspends", cases, floor="bare await")
    cases = {
        "bare await": call(suspend),
        "corten": call(guarded(suspend, Timeout(30))),
        "asyncio.timeout": call(timed_suspending),
    }
    figures = await compare("timeout alone, suspends once", cases, floor="bare await")
    base = figures["bare await"]
    share = (figures["corten"] - base) / (figures["asyncio.timeout"] - base)
    print(f"  added: {share:.3f} x of what asyncio.timeout adds; target 0.2: {'met' if share <= 0.2 else 'MISSED'}")
    for name, policies in {
        "rate_limit": (FULL[3],),
        "circuit_breaker": (FULL[2],),
        "bulkhead": (FULL[4],),
    }.items():
        cases = {"bare await": call(bare), "corten": call(guarded(bare, *policies))}
        await compare(f"{name} alone", cases, floor="bare await")


async def main() -> None:
    await success()
    await suspending()
    await hits()
    await misses()
    await one_policy_at_a_time()


if __name__ == "__main__":
    asyncio.run(main())
