"""A circuit breaker around calls that succeed, fail or are refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from harness import Case, compare_here, optional

from corten import CircuitBreaker, Pipeline
from corten.metrics import Registry

pybreaker = optional("pybreaker")
pyresilience = optional("pyresilience")
hyx = optional("hyx")

KINDS = {
    "failures in a row": CircuitBreaker(),
    "failure rate, 100 calls": CircuitBreaker(failure_rate=0.5, window=100),
    "failure rate, a minute": CircuitBreaker(failure_rate=0.5, window="60s"),
    "slow calls, a minute": CircuitBreaker(slow_call=1.0, window="60s"),
}


OURS = "corten: failures in a row"


async def bare(x: int) -> int:
    return x


async def fails(x: int) -> int:
    raise LookupError(x)


def guarded(function: Callable[..., Any], *policies: Any) -> Callable[..., Any]:
    pipeline = Pipeline("bench", registry=Registry())
    pipeline.configure(policies)
    return pipeline(function)


def under_pyresilience(function: Callable[..., Any]) -> Callable[..., Any] | None:
    if pyresilience is None:
        return None
    config = pyresilience.CircuitBreakerConfig(failure_threshold=10**9)
    decorated: Callable[..., Any] = pyresilience.resilient(circuit_breaker=config)(function)
    return decorated


def under_hyx(function: Callable[..., Any]) -> Callable[..., Any] | None:
    if hyx is None:
        return None
    breaker = import_module("hyx.circuitbreaker").consecutive_breaker(failure_threshold=10**9)
    decorated: Callable[..., Any] = breaker(function)
    return decorated


def call(function: Callable[..., Any] | None) -> Case | None:
    return None if function is None else Case("await call(1)", call=function)


async def compare(title: str, cases: dict[str, Case | None]) -> None:
    for case in cases.values():
        if case is not None:
            await case.names["call"](0)  # type: ignore[operator]
    await compare_here(title, cases, ours=OURS, floor="bare await")


def quiet(function: Callable[..., Awaitable[Any]] | None) -> Callable[..., Any] | None:
    """Measure a call that raises; raising and catching are included."""
    if function is None:
        return None

    async def attempt(x: int) -> None:
        with contextlib.suppress(Exception):
            await function(x)

    return attempt


async def succeeding() -> None:
    cases = {"bare await": call(bare), "corten, without policies": call(guarded(bare))}
    cases |= {f"corten: {name}": call(guarded(bare, policy)) for name, policy in KINDS.items()}
    cases |= {"pyresilience": call(under_pyresilience(bare)), "hyx": call(under_hyx(bare))}
    await compare("closed, the call succeeds", cases)


async def failing() -> None:
    kinds = {
        "failures in a row": CircuitBreaker(failures=2**32 - 1),
        "failure rate, a minute": CircuitBreaker(failure_rate=1.0, window="60s", min_calls=2**32 - 1),
    }
    cases = {"bare await": call(quiet(fails)), "corten, without policies": call(quiet(guarded(fails)))}
    cases |= {f"corten: {name}": call(quiet(guarded(fails, policy))) for name, policy in kinds.items()}
    cases |= {"pyresilience": call(quiet(under_pyresilience(fails))), "hyx": call(quiet(under_hyx(fails)))}
    await compare("closed, the call fails", cases)


async def refused() -> None:
    pipeline = Pipeline("bench", CircuitBreaker(), registry=Registry())
    function = pipeline(bare)
    pipeline.breakers[0].force_open()
    cases = {"bare await": call(quiet(fails)), OURS: call(quiet(function))}
    await compare("open, the call is refused", cases)


def plain() -> None:
    """Measure sync functions, the purpose of pybreaker."""

    def bare(x: int) -> int:
        return x

    cases: dict[str, Case | None] = {"bare call": Case("call(1)", call=bare)}
    cases |= {f"corten: {name}": Case("call(1)", call=guarded(bare, policy)) for name, policy in KINDS.items()}
    if pybreaker is not None:
        cases["pybreaker"] = Case("call(1)", call=pybreaker.CircuitBreaker(fail_max=10**9)(bare))
    asyncio.run(compare_here("closed, a plain function succeeds", cases, ours=OURS, floor="bare call"))


async def main() -> None:
    await succeeding()
    await failing()
    await refused()


if __name__ == "__main__":
    asyncio.run(main())
    plain()
