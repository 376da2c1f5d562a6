"""Every limiter across the boundary against lists of calls in exact fractions, in any order of verbs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from corten import rate_limit
from corten.testing.clock import FakeClock

SECOND = 10**9
KEYS = st.sampled_from(["a", "b", b"a", 1, (1, "a")])


class Bucket:
    """The textbook bucket; `leaky` reads it as a queue."""

    def __init__(self, now: int, count: int, period: int, *, leaky: bool) -> None:
        self.interval, self.burst, self.leaky = Fraction(round(Fraction(period, count))), count, leaky
        self.free, self.seen = Fraction(count), now

    def look(self, now: int) -> None:
        self.free = min(Fraction(self.burst), self.free + (now - self.seen) / self.interval)
        self.seen = now

    def wait(self, n: int, now: int) -> Fraction | None:
        """Nanoseconds to wait; None: there is no room, however long one would wait now."""
        self.look(now)
        if self.leaky:
            return None if self.free < n else (self.burst - self.free) * self.interval
        return max(Fraction(0), (n - self.free) * self.interval)

    def take(self, n: int, now: int, wait: Fraction) -> None:
        self.free -= n

    def add(self, n: int, now: int) -> None:
        self.look(now)
        self.free = min(Fraction(self.burst), self.free + n)

    def replace(self, now: int, count: int, period: int) -> None:
        self.look(now)
        until_empty = (self.burst - self.free) * self.interval
        self.interval, self.burst = Fraction(round(Fraction(period, count))), count
        if self.leaky:  # those who wait keep their times
            self.free = self.burst - until_empty / self.interval
        else:
            self.free = min(Fraction(self.burst), self.free)

    def tokens(self, now: int) -> float:
        self.look(now)
        return float(self.free)


class Window:
    """All calls in a list, and each window's sum over it; `sliding` weighs the one before by what still overlaps."""

    def __init__(self, now: int, count: int, period: int, *, sliding: bool) -> None:
        self.count, self.period, self.sliding = count, period, sliding
        self.calls: list[tuple[int, int]] = []

    def used(self, time: int) -> Fraction:
        window, elapsed = divmod(time, self.period)
        sums = [sum(n for at, n in self.calls if at // self.period == each) for each in (window, window - 1)]
        return sums[0] + (sums[1] * Fraction(self.period - elapsed, self.period) if self.sliding else 0)

    def wait(self, n: int, now: int) -> Fraction:
        time = max([now, *(at for at, _ in self.calls)])
        while self.used(time) + n > self.count:
            begin = time - time % self.period
            current = sum(each for at, each in self.calls if at // self.period == time // self.period)
            before = sum(each for at, each in self.calls if at // self.period == time // self.period - 1)
            if self.sliding and before and current + n <= self.count:
                behind = (self.count - current - n) * self.period // before
                time = begin + self.period - behind
            else:
                time = begin + self.period
        return Fraction(time - now)

    def take(self, n: int, now: int, wait: Fraction) -> None:
        self.calls.append((now + int(wait), n))

    def tokens(self, now: int) -> float | None:
        if any(at > now for at, _ in self.calls):
            return None
        return max(0.0, float(self.count - self.used(now)))


class Limiters(RuleBasedStateMachine):
    """Four limiters and four keyed ones; the same is asked of each and of its model."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.count, self.period = 4, 2 * SECOND
        rate = f"{self.count}/{self.period // SECOND}s"
        self.unkeyed: dict[str, Any] = {
            "token_bucket": rate_limit.TokenBucket(rate, clock=self.clock),
            "leaky_bucket": rate_limit.LeakyBucket(rate, clock=self.clock),
            "sliding_window": rate_limit.SlidingWindow(rate, clock=self.clock),
            "fixed_window": rate_limit.FixedWindow(rate, clock=self.clock),
        }
        self.keyed: dict[str, Any] = {
            "token_bucket": rate_limit.KeyedTokenBucket(rate, capacity=100, clock=self.clock),
            "leaky_bucket": rate_limit.KeyedLeakyBucket(rate, capacity=100, clock=self.clock),
            "sliding_window": rate_limit.KeyedSlidingWindow(rate, capacity=100, clock=self.clock),
            "fixed_window": rate_limit.KeyedFixedWindow(rate, capacity=100, clock=self.clock),
        }
        self.models: dict[tuple[str, object], Bucket | Window] = {}
        self.asked = dict.fromkeys(self.unkeyed, 0)
        self.bucket_count = self.count
        for algorithm in self.unkeyed:
            self.model(algorithm, None)

    @property
    def now(self) -> int:
        return round(self.clock.now() * SECOND)

    def model(self, algorithm: str, key: object) -> Bucket | Window:
        found = self.models.get((algorithm, key))
        if found is None:
            if "bucket" in algorithm:
                found = Bucket(self.now, self.bucket_count, self.period, leaky=algorithm == "leaky_bucket")
            else:
                found = Window(self.now, self.count, self.period, sliding=algorithm == "sliding_window")
            self.models[algorithm, key] = found
        return found

    @rule(milliseconds=st.integers(0, 5_000))
    def time_passes(self, milliseconds: int) -> None:
        self.clock.tick(milliseconds / 1_000)

    @rule(hours=st.integers(1, 100))
    def the_clock_jumps(self, hours: int) -> None:
        self.clock.tick(hours * 3_600)

    @rule(key=st.one_of(st.none(), KEYS), n=st.integers(0, 4), max_wait=st.sampled_from([0, 1, 3, 10]))
    def a_call_comes(self, key: object, n: int, max_wait: int) -> None:
        now = self.now
        for algorithm, unkeyed in self.unkeyed.items():
            model = self.model(algorithm, key)
            arguments: tuple[Any, ...] = (n,) if key is None else (key, n)
            limiter = unkeyed if key is None else self.keyed[algorithm]
            wait = model.wait(n, now)
            granted, seconds, claim = limiter.reserve(*arguments, max_wait=max_wait)
            self.asked[algorithm] += 1
            assert granted == (wait is not None and wait <= max_wait * SECOND), algorithm
            if wait is not None:  # each new rate may have moved a queue by a nanosecond
                assert abs(seconds - float(wait) / SECOND) < 1e-7, algorithm
            if granted and wait is not None:
                assert bool(claim) == (seconds > 0)
                model.take(n, now, wait)

    @rule(key=st.one_of(st.none(), KEYS), n=st.integers(1, 3))
    def tokens_are_given_to_buckets(self, key: object, n: int) -> None:
        for algorithm in ("token_bucket", "leaky_bucket"):
            model = self.model(algorithm, key)
            assert isinstance(model, Bucket)
            model.add(n, self.now)
            if key is None:
                self.unkeyed[algorithm].add_tokens(n)
            else:
                self.keyed[algorithm].add_tokens(key, n)

    @rule(count=st.sampled_from([4, 5, 8]))
    def buckets_get_another_rate(self, count: int) -> None:
        for algorithm in ("token_bucket", "leaky_bucket"):
            for limiter in (self.unkeyed[algorithm], self.keyed[algorithm]):
                limiter.replace(f"{count}/{self.period // SECOND}s")
            for (word, key), model in list(self.models.items()):
                if word != algorithm or not isinstance(model, Bucket):
                    continue
                if key is not None and model.tokens(self.now) == model.burst:
                    del self.models[word, key]  # a key with a full bucket is one that nobody has seen
                else:
                    model.replace(self.now, count, self.period)
        self.bucket_count = count

    @invariant()
    def tokens_are_as_many_as_the_model_has(self) -> None:
        for (algorithm, key), model in self.models.items():
            expected = model.tokens(self.now)
            if expected is not None:
                seen = self.unkeyed[algorithm].tokens() if key is None else self.keyed[algorithm].tokens(key)
                assert abs(seen - expected) < 1e-6, (algorithm, key)

    @invariant()
    def every_request_is_counted(self) -> None:
        for algorithm, asked in self.asked.items():
            seen = [self.unkeyed[algorithm].statistics(), self.keyed[algorithm].statistics()]
            assert sum(each.admitted + each.refused for each in seen) == asked


Limiters.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestLimiters = Limiters.TestCase
