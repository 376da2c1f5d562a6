"""A retry budget across the boundary behaves like a bucket that one can read; threads overdraw nothing."""

from __future__ import annotations

import threading
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import Retry, RetryBudget
from corten.testing import FakeClock

RATIO, PER_SECOND, BURST = Fraction(1, 2), Fraction(2), 3


class BudgetMachine(RuleBasedStateMachine):
    """A pipeline with a budget, and the same written down naively."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.pipeline = Pipeline(
            "p",
            Retry(5, initial_backoff=0, budget=RetryBudget(float(RATIO), float(PER_SECOND), BURST)),
            clock=self.clock,
            registry=Registry(),
        )
        self.errors = 0
        self.calls = 0
        self.guarded = self.pipeline(self.work)
        self.balance = Fraction(BURST)
        self.retries = 0

    def work(self) -> None:
        self.calls += 1
        if self.errors:
            self.errors -= 1
            raise OSError

    def earn(self, amount: Fraction) -> None:
        self.balance = min(self.balance + amount, Fraction(BURST))

    @rule(halves=st.integers(1, 6))
    def time_passes(self, halves: int) -> None:
        self.clock.tick(halves * 0.5)
        self.earn(PER_SECOND * halves / 2)

    @rule(errors=st.integers(0, 7))
    def call(self, errors: int) -> None:
        self.errors, before = errors, self.calls
        wanted = min(errors, 4)
        granted = min(wanted, int(self.balance))
        failed = errors > granted
        if failed:
            with pytest.raises(OSError):
                self.guarded()
        else:
            self.guarded()
        assert self.calls - before == granted + 1
        self.balance -= granted
        self.retries += granted
        self.earn(RATIO)
        self.errors = 0

    @invariant()
    def it_stands_as_it_should(self) -> None:
        seen = self.pipeline.statistics().retry_budget
        assert seen is not None
        assert seen.balance == pytest.approx(float(self.balance), abs=1e-5)
        assert (seen.granted, self.pipeline.statistics().retries) == (self.retries, self.retries)


TestBudget = BudgetMachine.TestCase
TestBudget.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_threads_overdraw_nothing() -> None:
    pipeline = Pipeline(
        "p", Retry(2, initial_backoff=0, budget=RetryBudget(0, 0, 500)), clock=FakeClock(), registry=Registry()
    )
    calls = []

    @pipeline
    def fails() -> None:
        calls.append(1)
        raise OSError

    def run() -> None:
        for _ in range(500):
            with pytest.raises(OSError):
                fails()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = pipeline.statistics().retry_budget
    assert seen is not None
    assert (seen.balance, seen.granted, seen.refused) == (0, 500, 1500)
    assert len(calls) == 2500
