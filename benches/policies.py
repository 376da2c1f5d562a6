"""Single policies around a call that does nothing, and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from harness import ROUNDS, Case, check, compare_here, optional
from peers import FULL, MANY, bare, frame, guarded, suspend
from pipeline import call, compare

from corten import AdaptiveLimit, Bulkhead, CircuitBreaker, Fallback, Hedge, RateLimit, Retry, Timeout
from corten.errors import Refused

pyresilience = optional("pyresilience")
hyx = optional("hyx")
tenacity = optional("tenacity")
stamina = optional("stamina")
aiolimiter = optional("aiolimiter")
grelmicro = optional("grelmicro.resilience")


def room(name: str) -> Any:
    return import_module(f"hyx.{name}")


async def retry() -> None:
    cases = {
        "bare await": call(bare),
        "corten": call(guarded(bare, Retry())),
        "corten, the pipeline without it": call(guarded(bare)),
        "hyx": call(room("retry").retry(attempts=3)(bare)) if hyx else None,
        "stamina": call(stamina.retry(on=OSError)(bare)) if stamina else None,
        "tenacity": call(tenacity.retry(stop=tenacity.stop_after_attempt(3))(bare)) if tenacity else None,
    }
    title = "retry alone, the first attempt succeeds"
    figures = await compare(title, cases, floor="bare await", over="bare await", targets={"hyx": 1 / 20})
    policy_alone(title, figures, "hyx", 1 / 20)


async def timeout() -> None:
    def timed(function: Callable[[int], Any]) -> Callable[[int], Any]:
        async def limited(x: int) -> int:
            async with asyncio.timeout(30):
                result: int = await function(x)
                return result

        return limited

    cases = {
        "bare await": call(bare),
        "a frame that only awaits": call(frame),
        "corten": call(guarded(bare, Timeout(30))),
        "corten, the pipeline without it": call(guarded(bare)),
        "asyncio.timeout": call(timed(bare)),
        "hyx": call(room("timeout").timeout(30)(bare)) if hyx else None,
    }
    title = "timeout alone, never suspends"
    figures = await compare(title, cases, floor="bare await", over="bare await", targets={"asyncio.timeout": 1 / 50})
    policy_alone(title, figures, "asyncio.timeout", 1 / 50)
    cases = {
        "bare await": call(suspend),
        "corten": call(guarded(suspend, Timeout(30))),
        "corten, the pipeline without it": call(guarded(suspend)),
        "asyncio.timeout": call(timed(suspend)),
        "hyx": call(room("timeout").timeout(30)(suspend)) if hyx else None,
    }
    await compare(
        "timeout alone, suspends once",
        cases,
        floor="bare await",
        over="bare await",
        targets={"asyncio.timeout": 1 / 5},
        rounds=ROUNDS * 4,
    )


def policy_alone(title: str, figures: dict[str, float], peer: str, target: float) -> None:
    """Check the time of a policy beyond wrapper and metrics."""
    if peer in figures:
        added = max(0.0, figures["corten"] - figures["corten, the pipeline without it"])
        theirs = figures[peer] - figures["bare await"]
        check(title, f"what the policy adds to its pipeline / what {peer} adds", added / theirs, target, " x")


async def admitting() -> None:
    """Measure policies that admit a call."""
    peers: dict[str, dict[str, Any]] = {"rate_limit": {}, "circuit_breaker": {}, "bulkhead": {}, "fallback": {}}
    if aiolimiter is not None:
        limiter = aiolimiter.AsyncLimiter(MANY, 1)

        async def limited(x: int) -> int:
            async with limiter:
                return await bare(x)

        peers["rate_limit"]["aiolimiter"] = limited
    if hyx is not None:
        peers["circuit_breaker"]["hyx"] = room("circuitbreaker").consecutive_breaker()(bare)
        peers["bulkhead"]["hyx"] = room("bulkhead").bulkhead(max_concurrency=1000, max_capacity=1000)(bare)
    if pyresilience is not None:
        p = pyresilience
        peers["rate_limit"]["pyresilience"] = p.resilient(rate_limiter=p.RateLimiterConfig(max_calls=MANY, period=1.0))(
            bare
        )
        peers["circuit_breaker"]["pyresilience"] = p.resilient(circuit_breaker=p.CircuitBreakerConfig())(bare)
        peers["bulkhead"]["pyresilience"] = p.resilient(bulkhead=p.BulkheadConfig(max_concurrent=1000))(bare)
        peers["fallback"]["pyresilience"] = p.resilient(fallback=p.FallbackConfig(handler=0))(bare)
    if grelmicro is not None and hasattr(grelmicro, "Fallback"):
        peers["fallback"]["grelmicro"] = grelmicro.Fallback("bench", when=OSError, default=0)(bare)
    semaphore = asyncio.Semaphore(1000)

    async def entered(x: int) -> int:
        async with semaphore:
            return await bare(x)

    peers["bulkhead"]["asyncio.Semaphore"] = entered
    ours = {
        "circuit_breaker": FULL[1],
        "rate_limit": FULL[2],
        "bulkhead": FULL[3],
        "adaptive_limit": AdaptiveLimit(),
        "fallback": Fallback(value=0),
        "hedge": Hedge(delay=1.0),
    }
    for name, policy in ours.items():
        cases = {
            "bare await": call(bare),
            "corten": call(guarded(bare, policy)),
            **{peer: call(function) for peer, function in peers.get(name, {}).items()},
        }
        await compare(f"{name} alone, lets pass", cases, floor="bare await", over="bare await")


async def falling_back() -> None:
    """Measure a fallback for a failed call."""

    async def failing(x: int) -> int:
        raise OSError

    async def caught(x: int) -> int:
        try:
            return await failing(x)
        except OSError:
            return 0

    cases = {"an except clause": call(caught), "corten": call(guarded(failing, Fallback(value=0)))}
    if pyresilience is not None:
        p = pyresilience
        cases["pyresilience"] = call(p.resilient(fallback=p.FallbackConfig(handler=0))(failing))
    if hyx is not None:

        async def instead(*arguments: object, **keywords: object) -> int:
            return 0

        cases["hyx"] = call(room("fallback").fallback(instead, on=OSError)(failing))
    if grelmicro is not None and hasattr(grelmicro, "Fallback"):
        cases["grelmicro"] = call(grelmicro.Fallback("bench", when=OSError, default=0)(failing))
    await compare("fallback: the call fails, a value is given", cases, floor="an except clause")


async def refusing() -> None:
    """Measure refusals, raised and caught."""

    async def failing(x: int) -> int:
        raise OSError

    async def raising(x: int) -> int:
        raise LookupError

    def caught(function: Callable[..., Any], error: type[Exception]) -> Case:
        statement = "try:\n    await call(1)\nexcept error:\n    pass"
        return Case(statement, call=function, error=error)

    async def until(function: Callable[..., Any], error: type[Exception]) -> Case:
        """Call a function until it is refused."""
        for _ in range(20):
            try:
                await function(1)
            except error:
                return caught(function, error)
            except OSError:
                pass
        raise RuntimeError(f"{function} does not refuse")

    cases: dict[str, Case | None] = {
        "a function that raises": caught(raising, LookupError),
        "corten": await until(guarded(failing, CircuitBreaker(failures=1)), Refused),
    }
    if pyresilience is not None:
        p = pyresilience
        function = p.resilient(circuit_breaker=p.CircuitBreakerConfig(failure_threshold=1))(failing)
        cases["pyresilience"] = await until(function, p.CircuitOpenError)
    if hyx is not None:
        breaker = room("circuitbreaker")
        function = breaker.consecutive_breaker(failure_threshold=1, recovery_time_secs=3600)(failing)
        cases["hyx"] = await until(function, breaker.exceptions.BreakerFailing)
    await compare_refusals("circuit_breaker: a refusal, raised and caught", cases)
    cases = {
        "a function that raises": caught(raising, LookupError),
        "corten": await until(guarded(bare, RateLimit("1/d", burst=1)), Refused),
    }
    if pyresilience is not None:
        p = pyresilience
        function = p.resilient(rate_limiter=p.RateLimiterConfig(max_calls=1, period=86_400))(bare)
        cases["pyresilience"] = await until(function, p.RateLimitExceededError)
    await compare_refusals("rate_limit: a refusal, raised and caught", cases)
    held = guarded(suspend, Bulkhead(1))
    holder = asyncio.ensure_future(hold(held))
    await asyncio.sleep(0)
    cases = {"a function that raises": caught(raising, LookupError), "corten": await until(held, Refused)}
    await compare_refusals("bulkhead: a refusal, raised and caught", cases)
    holder.cancel()


async def hold(function: Callable[[int], Any]) -> None:
    """Take the only place by a call that never ends."""
    coroutine = function(1)
    coroutine.send(None)  # suspended: it holds its place until it is closed
    try:
        await asyncio.Event().wait()
    finally:
        coroutine.close()


async def compare_refusals(title: str, cases: dict[str, Case | None]) -> None:
    await compare_here(title, cases, floor="a function that raises")


async def main() -> None:
    await retry()
    await timeout()
    await admitting()
    await falling_back()
    await refusing()


if __name__ == "__main__":
    asyncio.run(main())
