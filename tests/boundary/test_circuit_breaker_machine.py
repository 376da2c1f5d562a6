"""A breaker across the boundary behaves like one written down naively, whatever its settings; threads lose nothing."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from corten import _core
from corten.errors import CircuitOpen
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import CircuitBreaker
from corten.testing import FakeClock

WAIT = 10.0
HALF_OPEN = 30.0

RULES: list[dict[str, Any]] = [
    {"failures": 2, "half_open_calls": 2},
    {"failures": 3, "half_open_calls": 1, "successes": 3, "growth": 2.0, "max_open_for": 35.0},
    {"failure_rate": 0.5, "window": 6, "min_calls": 3},
    {"failure_rate": 0.25, "failures": 2, "window": 20.0, "min_calls": 4, "half_open_calls": 2, "successes": 1},
    {"slow_call": 4.0, "slow_rate": 0.5, "window": 4, "min_calls": 2},
    {"slow_call": 4.0, "failure_rate": 1.0, "window": "20s", "min_calls": 2, "growth": 3.0, "max_open_for": 100.0},
]


class BreakerMachine(RuleBasedStateMachine):
    """A breaker and the same written down naively: everything is kept, and looked through each time."""

    running = Bundle("running")

    @initialize(rules=st.sampled_from(RULES))
    def begin(self, rules: dict[str, Any]) -> None:
        self.policy = CircuitBreaker(open_for=WAIT, max_half_open=HALF_OPEN, **rules)
        self.clock = FakeClock()
        self.pipeline = Pipeline("p", self.policy, clock=self.clock, registry=Registry())
        self.breaker = self.pipeline.breakers[0]
        stage = _core.Stage.circuit_breaker(self.breaker.core, (), (), None, self.policy.slow_call is not None)
        counts = _core.PipelineCounts("p", Registry().core)
        self.core = _core.Segment("p", self.clock, counts, [stage], True)
        self.failures_in_a_row, self.successes, self.slow_rate, self.min_calls = self.policy.needed()
        self.state = "closed"
        self.epoch = self.failures = self.trials = self.succeeded = self.refused = 0
        self.results: list[tuple[float, bool, bool]] = []
        self.streak, self.open_for, self.opened_at = 0, 0.0, 0.0
        self.closed_at: float | None = None
        self.heard_at = 0.0
        self.silent: set[int] = set()

    def now(self) -> float:
        return round(self.clock.now(), 6)

    def change(self, state: str) -> None:
        self.state = state
        self.epoch += 1
        self.trials = self.succeeded = 0
        if state not in ("open", "half_open"):
            self.failures = 0
            self.results.clear()

    def open(self, now: float) -> None:
        well = self.state == "closed" and (self.closed_at is None or now - self.closed_at >= self.open_for)
        self.streak = 0 if well else self.streak + 1
        self.open_for = WAIT if self.policy.growth == 1 else min(WAIT * self.policy.growth**self.streak, self.longest)
        self.opened_at = now
        self.silent = set()
        self.change("open")

    @property
    def longest(self) -> float:
        return self.policy.max_open_for

    def look(self) -> None:
        if self.state == "open" and self.now() >= self.opened_at + self.open_for:
            self.change("half_open")
        if self.state == "half_open" and self.trials and self.now() >= self.heard_at + HALF_OPEN:
            silent = {*self.silent, self.epoch}
            self.open(self.heard_at + HALF_OPEN)
            self.silent = silent
            if self.now() >= self.opened_at + self.open_for:
                self.change("half_open")

    @rule(seconds=st.sampled_from([1.0, 3.0, 5.0, 10.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.tick(seconds)

    @rule(target=running)
    def call(self) -> tuple[list[_core.Call], int, float]:
        self.look()
        half_open = self.state == "half_open"
        if self.state in ("open", "forced_open") or (half_open and self.trials == self.policy.half_open_calls):
            self.refused += 1
            with pytest.raises(CircuitOpen) as caught:
                self.core.admit(())
            if self.state == "open":
                assert caught.value.retry_after == pytest.approx(self.opened_at + self.open_for - self.now())
            else:
                assert caught.value.retry_after is None
            return [], self.epoch, 0.0
        if half_open:
            self.heard_at = self.now() if self.trials == 0 else self.heard_at
            self.trials += 1
        return [self.core.admit(())], self.epoch, self.now()

    @rule(
        running=consumes(running),
        how=st.sampled_from(["success", "success", "failure", "failure", "cancelled", "dropped"]),
    )
    def end(self, running: tuple[list[_core.Call], int, float], how: str) -> None:
        held, epoch, began = running
        now_in = self.epoch
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
        slow = self.policy.slow_call is not None and self.now() - began > self.policy.slow_call
        if epoch in self.silent and how == "success" and not slow:
            if self.state == "open":
                self.change("half_open")
            self.trial_succeeded()
        if epoch != now_in or self.state == "disabled":
            return
        if self.state == "half_open":
            self.end_trial(how, slow)
        elif how in ("success", "failure"):
            self.failures = self.failures + 1 if how == "failure" else 0
            self.results.append((self.now(), how == "failure", slow))
            if self.state == "closed" and self.is_reached():
                self.open(self.now())

    def end_trial(self, how: str, slow: bool) -> None:
        self.trials -= 1
        self.heard_at = self.now()
        if how == "failure":
            self.failures += 1
            self.open(self.now())
        elif how == "success" and slow:
            self.open(self.now())
        elif how == "success":
            self.trial_succeeded()

    def trial_succeeded(self) -> None:
        self.failures = 0
        self.succeeded += 1
        if self.succeeded == self.successes:
            self.closed_at = self.now()
            self.silent = set()
            self.change("closed")

    def window(self) -> list[tuple[float, bool, bool]]:
        if not self.policy.has_rates:
            return []
        calls, seconds = self.policy.window_size()
        if calls is not None:
            return self.results[-calls:]
        newest, width = int(self.now() // (seconds / 20)), seconds / 20
        return [each for each in self.results if int(each[0] // width) + 20 > newest]

    def is_reached(self) -> bool:
        if 0 < self.failures_in_a_row <= self.failures:
            return True
        window = self.window()
        if not window or len(window) < self.min_calls:
            return False
        failed, slow = sum(failed for _, failed, _ in window), sum(slow for *_, slow in window)
        return any(
            rate is not None and part / len(window) >= rate
            for rate, part in ((self.policy.failure_rate, failed), (self.slow_rate, slow))
        )

    @rule(state=st.sampled_from(["forced_open", "disabled", "metrics_only", "closed", "open"]))
    def by_hand(self, state: str) -> None:
        if state == "forced_open":
            self.breaker.force_open()
        elif state == "disabled":
            self.breaker.disable()
        elif state == "metrics_only":
            self.breaker.metrics_only()
        elif state == "closed":
            self.breaker.close()
        else:
            self.breaker.open()
        if state == "closed" and self.state in ("open", "half_open", "forced_open"):
            self.closed_at = self.now()
        if state == "open":
            self.streak, self.open_for, self.opened_at = 0, WAIT, self.now()
        self.silent = set()
        self.change(state)

    @invariant()
    def same_state(self) -> None:
        if hasattr(self, "policy"):
            seen = self.breaker.statistics()
            assert (seen.state, seen.refused) == (self.state, self.refused)
            if self.state in ("closed", "metrics_only"):
                window = self.window()
                slow = sum(slow for *_, slow in window)
                assert (seen.calls, seen.failed, seen.slow) == (len(window), sum(each[1] for each in window), slow)
                assert seen.failures == self.failures


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(deadline=None, max_examples=200, stateful_step_count=60)


@pytest.mark.parametrize("window", [8000, "1h"])
def test_threads_on_one_breaker_lose_no_call(window: int | str) -> None:
    policy = CircuitBreaker(failure_rate=1.0, failures=2**32 - 1, window=window, min_calls=8000)
    pipeline = Pipeline("p", policy, registry=Registry())

    @pipeline
    def call(n: int) -> None:
        if n % 7 == 0:
            raise ValueError

    def many() -> None:
        for n in range(2000):
            if n % 7 == 0:
                with pytest.raises(ValueError):
                    call(n)
            else:
                call(n)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = pipeline.breakers[0].statistics()
    assert (seen.calls, seen.failed, seen.state) == (8000, 4 * 286, "closed")


def test_threads_never_have_more_trials_at_once_than_there_are() -> None:
    clock = FakeClock()
    policy = CircuitBreaker(failures=1, half_open_calls=3, successes=2**32 - 1)
    pipeline = Pipeline("p", policy, clock=clock, registry=Registry())
    lock, inside, most = threading.Lock(), 0, 0

    @pipeline
    def call() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        with lock:
            inside -= 1

    pipeline.breakers[0].open()
    clock.tick(60)

    def many() -> None:
        for _ in range(500):
            with contextlib.suppress(CircuitOpen):
                call()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert 1 <= most <= 3
    statistics = pipeline.statistics()
    assert statistics.successes + statistics.refused.get("circuit_breaker", 0) == statistics.calls == 4000
    # None is held any more: there is room for three.
    for _ in range(3):
        call()
