"""The policy against a naive model: what a guarded function answers, whatever passes, fails or is forgotten."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import Cache
from corten.testing import FakeClock

KEYS = st.integers(0, 5)


class CachePolicyMachine(RuleBasedStateMachine):
    """Good results are never made again; others always are, or helped out with for as long as is allowed."""

    @initialize(
        ttl=st.integers(1, 20),
        negative_ttl=st.none() | st.integers(0, 10),
        stale=st.integers(0, 10),
    )
    def make(self, ttl: int, negative_ttl: int | None, stale: int) -> None:
        self.clock = FakeClock()
        self.ttl, self.negative_ttl, self.stale = ttl, negative_ttl, stale
        self.failing = False
        self.number = self.calls = self.made = self.errors = 0
        self.model: dict[int, tuple[int | None, float, float]] = {}  # the result, until when good, until when stale
        self.pipeline = Pipeline("p", self.policy(), clock=self.clock, registry=Registry())

        @self.pipeline
        def load(key: int, _noise: int = 0) -> int | None:
            self.made += 1
            if self.failing:
                raise OSError("away")
            self.number += 1
            return None if self.number % 4 == 0 else self.number

        self.load = load
        self.cache = self.pipeline.cache_sync(load)

    def policy(self) -> Cache:
        return Cache(
            self.ttl,
            key=("key",),
            tags=("key:{key}", "odd:{key}", "noise:{_noise}"),
            negative_ttl=self.negative_ttl,
            stale=self.stale,
        )

    def keep(self, key: int, value: int | None) -> None:
        ttl = self.negative_ttl if value is None and self.negative_ttl is not None else self.ttl
        if ttl == 0:
            self.model.pop(key, None)
        else:
            until = self.clock.now() + ttl
            self.model[key] = (value, until, until + self.stale)

    @rule(key=KEYS, noise=st.integers(0, 3))
    def call(self, key: int, noise: int) -> None:
        self.calls += 1
        before, now = self.made, self.clock.now()
        value, good, helps = self.model.get(key, (None, 0.0, 0.0))
        try:
            found = self.load(key, noise)
        except OSError:
            self.errors += 1
            assert self.failing
            assert now >= helps
            assert self.made == before + 1
            return
        if now < good:
            assert (found, self.made) == (value, before)
            return
        assert self.made == before + 1
        if self.failing:
            assert now < helps
            assert found == value
            return
        assert found == (None if self.number % 4 == 0 else self.number)
        self.keep(key, found)

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.tick(seconds)

    @rule()
    def the_other_side_breaks_or_heals(self) -> None:
        self.failing = not self.failing

    @rule(key=KEYS)
    def invalidate(self, key: int) -> None:
        there = self.cache.invalidate(key)
        assert there or self.clock.now() >= self.model.get(key, (None, 0.0, 0.0))[2]
        self.model.pop(key, None)

    @rule(key=KEYS)
    def invalidate_tag(self, key: int) -> None:
        self.cache.invalidate_tag(f"key:{key}")
        self.model.pop(key, None)

    @rule(key=KEYS)
    def invalidate_matching(self, key: int) -> None:
        self.cache.invalidate_matching(f"*d:{key}")
        self.model.pop(key, None)

    @rule(key=KEYS)
    def put_in_by_hand(self, key: int) -> None:
        self.number += 1
        self.cache.set(self.number, key)
        self.keep(key, self.number)

    @rule(ttl=st.integers(1, 20), stale=st.integers(0, 10))
    def configure(self, ttl: int, stale: int) -> None:
        self.ttl, self.stale = ttl, stale
        self.pipeline.configure([self.policy()])

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()

    @invariant()
    def what_is_good_can_be_looked_at_and_nothing_is_left_under_way(self) -> None:
        if not hasattr(self, "cache"):
            return
        for key in range(6):
            value, good, _ = self.model.get(key, (None, 0.0, 0.0))
            assert self.cache.get(key) == (value if self.clock.now() < good else None)
        seen = self.cache.statistics()
        assert (seen.under_way, seen.callback_errors) == (0, 0)
        assert self.pipeline.statistics().hits == self.calls - self.made
        assert self.pipeline.statistics().errors >= self.errors


TestCachePolicyMachine = CachePolicyMachine.TestCase
TestCachePolicyMachine.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
