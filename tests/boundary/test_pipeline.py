"""A breaker across the boundary behaves like a model that one can read; threads lose nothing."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from corten import _core
from corten.errors import CircuitOpen
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import Bulkhead, CircuitBreaker, RateLimit, Retry
from corten.testing import FakeClock

FAILURES, WAIT, TRIALS = 2, 10.0, 2


class BreakerMachine(RuleBasedStateMachine):
    """A breaker and the same written down naively."""

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.pipeline = Pipeline(
            "p",
            CircuitBreaker(failures=FAILURES, wait=WAIT, trials=TRIALS),
            clock=self.clock,
            registry=Registry(),
        )
        self.core = _core.Pipeline(
            "p",
            self.clock,
            _core.PipelineCounts("p", Registry().core),
            [("circuit_breaker", self.pipeline._compiler.state_of("circuit_breaker")[0], (), ())],
            True,
        )
        self.state = "closed"
        self.epoch = 0
        self.failures = 0
        self.trials = 0
        self.successes = 0
        self.opened_at = 0.0

    def change(self, state: str) -> None:
        self.state = state
        self.epoch += 1
        self.failures = self.trials = self.successes = 0
        if state == "open":
            self.opened_at = self.clock.now()

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.tick(seconds)

    @rule(target=running)
    def call(self) -> tuple[list[_core.Call], int]:
        if self.state == "open" and self.clock.now() >= self.opened_at + WAIT:
            self.change("half_open")
        admitted = self.state == "closed" or (self.state == "half_open" and self.trials + self.successes < TRIALS)
        if not admitted:
            with pytest.raises(CircuitOpen) as refused:
                self.core.admit(())
            assert (refused.value.retry_after is not None) == (self.state == "open")
            return [], self.epoch
        self.trials += self.state == "half_open"
        return [self.core.admit(())], self.epoch

    @rule(pair=consumes(running), how=st.sampled_from(["success", "failure", "cancelled", "dropped"]))
    def end(self, pair: tuple[list[_core.Call], int], how: str) -> None:
        held, epoch = pair
        if not held:
            return
        call = held.pop()  # the only reference, so that it can be dropped
        if how == "success":
            call.succeeded()
        elif how == "failure":
            assert not call.failed(ValueError())
        elif how == "cancelled":
            call.abandon()
        del call
        if epoch != self.epoch:
            return
        self.trials -= self.state == "half_open"
        if how == "success":
            self.failures = 0
            self.successes += self.state == "half_open"
            if self.successes == TRIALS:
                self.change("closed")
        elif how == "failure":
            self.failures += 1
            if self.state == "half_open" or self.failures == FAILURES:
                self.change("open")

    @invariant()
    def same_state(self) -> None:
        assert self.pipeline.statistics().breakers[0].state == self.state


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_threads_with_loops_of_their_own_lose_no_permit_and_no_count() -> None:
    guard = Pipeline(
        "p",
        Retry(max_attempts=2, wait=0),
        CircuitBreaker(failures=10**9),
        RateLimit("1000000000/s", burst=10**9),
        Bulkhead(100),
        registry=Registry(),
    )
    tried: set[tuple[int, int]] = set()

    @guard
    async def work(thread: int, number: int) -> int:
        if number % 5 == 0:
            await asyncio.sleep(0)
        attempt = (thread, number)
        if number % 7 == 0 and attempt not in tried:
            tried.add(attempt)
            raise OSError
        return number

    async def many(thread: int) -> None:
        for start in range(0, 1000, 20):
            numbers = range(start, start + 20)
            assert await asyncio.gather(*(work(thread, number) for number in numbers)) == list(numbers)

    threads = [threading.Thread(target=lambda own=number: asyncio.run(many(own))) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = guard.statistics()
    assert seen.bulkheads[0].running == 0
    assert (seen.calls, seen.successes, seen.retries) == (4000, 4000, 4 * 143)
