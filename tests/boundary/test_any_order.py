"""Any policies in any order, around calls that end in any way: nothing leaks, and every call is counted once."""

from __future__ import annotations

import contextlib
import gc
import random
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import (
    AdaptiveLimit,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Fallback,
    Hedge,
    Middleware,
    RateLimit,
    Retry,
    RetryBudget,
    Timeout,
)
from corten.policies.combined.policy import Policy
from corten.policies.middleware import MiddlewareDetails
from corten.testing import FakeClock

pytestmark = [
    pytest.mark.filterwarnings("ignore::corten.errors.PolicyOrderWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


async def pass_on(call_next: Callable[..., Awaitable[int]], details: MiddlewareDetails) -> int:
    return await call_next()


STAGES: list[Policy] = [
    RateLimit("2/s", burst=3),
    RateLimit("5/s", burst=2, max_wait=1.5),
    RateLimit("4/s", burst=4, key="name", max_wait=0.2),
    CircuitBreaker(failures=2, open_for=1.0),
    CircuitBreaker(failures=1, open_for=0.5, half_open_calls=2),
    RateLimit("3/s", burst=2, algorithm="leaky_bucket", max_wait=1.0),
    RateLimit("3/s", algorithm="sliding_window"),
    RateLimit("6/2s", algorithm="fixed_window", cost=lambda name: 1 + (name == "b")),
    CircuitBreaker(failure_rate=0.5, window=6, min_calls=3, open_for=0.5, slow_call=0.9, slow_rate=0.8),
    CircuitBreaker(failure_rate=0.4, window="10s", min_calls=2, open_for=0.3, max_half_open=1.0),
    Bulkhead(2, max_waiting=3, max_wait=0.7),
    Bulkhead(1, max_waiting=4, priority=lambda name: ord(name)),
    Bulkhead(3),
    Retry(max_attempts=3, initial_backoff=0.3, jitter=0),
    Retry(max_attempts=2, initial_backoff=0, jitter=0.5, max_time=2.0),
    Retry(max_attempts=3, backoffs=(0.1, 0.2), budget=RetryBudget(ratio=0.1, min_per_second=0.5, burst=2)),
    AdaptiveLimit(initial=2, max=4, max_waiting=2, max_wait=0.5),
    AdaptiveLimit(algorithm="aimd", initial=2, max=8),
    Fallback(value=2, on=(OSError,)),
    Fallback(call=lambda error: 3),
    Timeout(0.8),
    Timeout(3.0),
]
LAYERS: list[Policy] = [
    Cache(ttl=1.0),
    Cache(max_entries=2),
    Middleware(pass_on),
    Hedge(delay=0.3),
    Hedge(delay=0.1, quantile=0.5, max_hedges=2),
    Fallback(last_good=True),
    Cache(ttl=0.5, stale=5.0, soft_timeout=0.2, hard_timeout=2.0, early_refresh=1.0, jitter=0.1),
]
policies = st.lists(st.sampled_from(STAGES + LAYERS), min_size=1, max_size=6)


class World:
    """Calls of one guarded function that do what a seeded die says, and are cancelled when it says so."""

    def __init__(self, policies: list[Policy], seed: int) -> None:
        self.clock, self.random = FakeClock(), random.Random(seed)
        self.registry = Registry()
        self.pipeline = Pipeline("p", *policies, clock=self.clock, registry=self.registry)
        self.guarded: Callable[[str], Awaitable[int]] = self.pipeline(self.work)
        self.running = 0
        self.begun = 0
        self.ended = 0

    async def work(self, name: str) -> int:
        self.running += 1
        try:
            for _ in range(self.random.choice([0, 0, 1, 2])):
                if self.random.random() < 0.3:
                    await anyio.lowlevel.checkpoint()
                else:
                    await self.clock.sleep(self.random.choice([0.1, 0.5, 1.0, 5.0]))
            match self.random.randrange(6):
                case 0:
                    raise OSError("away")
                case 1:
                    raise ValueError(name)
                case _:
                    return 1
        finally:
            self.running -= 1

    async def call(self) -> None:
        self.begun += 1
        with anyio.CancelScope() as scope:
            if self.random.random() < 0.25:
                self.clock.call_at(self.clock.now() + self.random.choice([0.05, 0.6, 1.2]), scope.cancel)
            with contextlib.suppress(Exception):
                await self.guarded(self.random.choice("ab"))
        self.ended += 1

    async def live(self, calls: int) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(calls):
                group.start_soon(self.call)
                if self.random.random() < 0.6:
                    await self.clock.advance(self.random.choice([0.0, 0.2, 0.9]))
            await self.clock.advance(60)

    def check(self) -> None:
        assert (self.running, self.begun) == (0, self.ended)
        seen = self.pipeline.statistics()
        for bulkhead in seen.bulkheads:
            assert (bulkhead.running, bulkhead.waiting) == (0, 0)
        counted = seen.successes + seen.errors + seen.timeouts + seen.cancelled + sum(seen.refused.values()) + seen.hits
        assert seen.calls == counted
        assert seen.calls <= self.begun  # cancelled waiters for another's result are nobody's calls
        if not any(isinstance(each, Cache) for each in self.pipeline.policies):
            assert seen.calls == self.begun
        for breaker in seen.breakers:
            assert breaker.state in ("closed", "open", "half_open")


def lived(policies: list[Policy], seed: int, backend: str) -> None:
    world = World(policies, seed)
    options: dict[str, Any] = {} if backend == "asyncio" else {"restrict_keyboard_interrupt_to_checkpoints": False}
    anyio.run(world.live, 12, backend=backend, backend_options=options)
    world.check()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()  # a coroutine that was never awaited would say so here


@settings(max_examples=40, deadline=None)
@given(policies=policies, seed=st.integers(0, 2**32))
def test_on_asyncio(policies: list[Policy], seed: int) -> None:
    lived(policies, seed, "asyncio")


@settings(max_examples=40, deadline=None)
@given(policies=policies, seed=st.integers(0, 2**32))
def test_on_trio(policies: list[Policy], seed: int) -> None:
    lived(policies, seed, "trio")
