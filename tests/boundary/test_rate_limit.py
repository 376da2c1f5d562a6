"""Token buckets across the boundary: against a model in fractions, keys of every kind, a million of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.rate_limit import (
    KeyedFixedWindow,
    KeyedLeakyBucket,
    KeyedLimiter,
    KeyedSlidingWindow,
    KeyedTokenBucket,
    RateLimitStatistics,
    TokenBucket,
)
from corten.testing.clock import FakeClock


class Model:
    """The textbook bucket with exact fractions, in nanoseconds."""

    def __init__(self, interval: int, burst: int) -> None:
        self.interval, self.burst = interval, burst
        self.tokens, self.seen = Fraction(burst), 0

    def try_acquire(self, n: int, now: int) -> float:
        self.tokens = min(Fraction(self.burst), self.tokens + Fraction(now - self.seen, self.interval))
        self.seen = now
        if n <= self.tokens:
            self.tokens -= n
            return 0.0
        return float((n - self.tokens) * self.interval) / 1e9


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.integers(0, 10**9)), max_size=80)


@given(steps=STEPS, interval=st.integers(1, 2 * 10**9), burst=st.integers(4, 9))
@settings(deadline=None)
def test_unkeyed_and_keyed_agree_with_a_bucket_of_fractions(
    steps: list[tuple[str, int, int]], interval: int, burst: int
) -> None:
    clock = FakeClock()
    rate = 1e9 / interval
    unkeyed, keyed = TokenBucket(rate, burst, clock), KeyedTokenBucket(rate, burst, 100, clock)
    interval = round(1e9 / rate)
    model, models, now = Model(interval, burst), {key: Model(interval, burst) for key in "abc"}, 0
    for key, n, nanoseconds in steps:
        now += round(clock.core.advance(nanoseconds / 1e9) * 1e9) - round(clock.now() * 1e9) + nanoseconds
        assert unkeyed.estimate(n) == pytest.approx(wait := model.try_acquire(n, now), abs=1e-9)
        assert unkeyed.try_acquire(n) == pytest.approx(wait, abs=1e-9)
        assert keyed.try_acquire(key, n) == pytest.approx(models[key].try_acquire(n, now), abs=1e-9)
        assert unkeyed.tokens() == pytest.approx(float(model.tokens), abs=1e-6)
        assert keyed.tokens(key) == pytest.approx(float(models[key].tokens), abs=1e-6)


def test_a_bucket_starts_full_and_refills_at_its_rate() -> None:
    clock = FakeClock()
    bucket = TokenBucket("2/s", burst=3, clock=clock)
    assert [bucket.try_acquire() for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 0.5]
    clock.tick(0.5)
    assert (bucket.try_acquire(), bucket.try_acquire()) == (0.0, 0.5)
    clock.tick(100)
    assert bucket.tokens() == 3.0
    assert (bucket.try_acquire(3), bucket.estimate(3), bucket.estimate(1)) == (0.0, 1.5, 0.5)
    assert bucket.statistics() == RateLimitStatistics(admitted=5, refused=3)


def test_tokens_come_back_and_the_limit_can_be_replaced() -> None:
    clock = FakeClock()
    bucket = TokenBucket("1/s", burst=10, clock=clock)
    bucket.try_acquire(8)
    bucket.add_tokens(2)
    bucket.replace("100/s", burst=50)
    assert (round(bucket.tokens(), 6), bucket.rate, bucket.burst) == (4.0, 100.0, 50)
    bucket.replace(5)
    assert (round(bucket.tokens(), 6), bucket.rate, bucket.burst) == (4.0, 5.0, 5)
    keyed = KeyedTokenBucket("1/s", burst=10, clock=clock)
    keyed.try_acquire("a", 8)
    keyed.add_tokens("a", 2)
    keyed.replace("100/s", burst=50)
    assert (round(keyed.tokens("a"), 6), keyed.tokens("b"), keyed.rate, keyed.burst) == (4.0, 50.0, 100.0, 50)


@pytest.mark.parametrize(("rate", "burst"), [("5/min", 5), ("0.5/s", 1), ("100/s", 100), (2.5, 3), (7, 7)])
def test_unless_said_the_burst_is_the_number_before_the_slash(rate: str | float, burst: int) -> None:
    assert TokenBucket(rate).burst == KeyedTokenBucket(rate).burst == burst


@pytest.mark.parametrize("make", [TokenBucket, KeyedTokenBucket])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("5",), ValueError, '"5" is not a rate: write a number, a slash and a unit of time, such as "100/s"'),
        (("5/moon",), ValueError, '"moon" in the rate "5/moon" is not a time'),
        (("0/s",), ValueError, "at most 1e9 a second, not 0 a second"),
        ((-1,), ValueError, "not -1 a second"),
        ((float("nan"),), ValueError, "not NaN a second"),
        ((None,), TypeError, "a rate is a text such as"),
        (("5/s", 0), ValueError, "burst must be at least 1, not 0"),
        (("5/s", -3), ValueError, "burst must be at least 1, not -3"),
    ],
)
def test_wrong_limits_are_said(
    make: Callable[..., object], arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        make(*arguments)
    assert message in str(caught.value)


def test_asking_for_more_than_a_bucket_holds_is_an_error_not_a_wait() -> None:
    bucket, keyed = TokenBucket("1/s", burst=5), KeyedTokenBucket("1/s", burst=5)
    for ask in (bucket.try_acquire, bucket.estimate, lambda n: keyed.try_acquire("a", n)):
        with pytest.raises(ValueError, match="asked for 6 tokens of a limit that holds 5"):
            ask(6)
    with pytest.raises(OverflowError):
        bucket.try_acquire(-1)


def test_equal_keys_share_a_bucket_and_others_do_not() -> None:
    bucket = KeyedTokenBucket("1/h", burst=1)
    for key in (1, "1", b"1", (1, "a"), 2**61 - 1, 2**61, 2**200, -1, -2, None, frozenset({1})):
        assert bucket.try_acquire(key) == 0.0, key
    for same in (1.0, True, "".join("1"), (1.0, "a"), 2**200):
        assert bucket.try_acquire(same) > 0, same
    with pytest.raises(TypeError, match="unhashable"):
        bucket.try_acquire([])


def test_a_key_whose_hash_fails_raises_that_and_takes_nothing() -> None:
    class Broken:
        def __hash__(self) -> int:
            raise RuntimeError("no hash today")

    bucket = KeyedTokenBucket("1/s")
    with pytest.raises(RuntimeError, match="no hash today"):
        bucket.try_acquire(Broken())
    assert bucket.statistics().admitted == 0


@pytest.mark.parametrize("make", [KeyedTokenBucket, KeyedLeakyBucket, KeyedSlidingWindow, KeyedFixedWindow])
def test_a_million_keys_stay_within_64_bytes_each_and_are_limited_each(make: Callable[..., KeyedLimiter]) -> None:
    limiter = make("1/h", clock=FakeClock())
    assert limiter.statistics().bytes < 256 * 1024  # nothing is allocated for keys that nobody has seen
    admitted = sum(limiter.try_acquire(key) == 0.0 for key in range(1_000_000))
    statistics = limiter.statistics()
    assert (admitted, statistics.capacity) == (1_000_000, 1_048_576)
    assert statistics.live + statistics.evictions == 1_000_000
    assert statistics.evictions < 15_000
    assert statistics.bytes <= 64 * 1_048_576
    again = sum(limiter.try_acquire(key) == 0.0 for key in range(1_000_000))
    assert again < 60_000  # those that were crowded out, and those that they crowded out in turn
    assert limiter.statistics().bytes == statistics.bytes


def test_keys_that_are_full_again_take_no_room() -> None:
    clock = FakeClock()
    bucket = KeyedTokenBucket("1/s", burst=1, capacity=1_000, clock=clock)
    for key in range(20_000):
        assert bucket.try_acquire(key) == 0.0
        if key % 200 == 0:
            clock.tick(1)
    assert bucket.statistics().evictions < 20  # a fifth of the capacity is live: a set of four seldom overflows
    assert bucket.statistics().live <= 200


def test_threads_get_no_more_than_the_bucket_holds() -> None:
    clock = FakeClock()
    unkeyed, keyed = TokenBucket("1/h", burst=1_000, clock=clock), KeyedTokenBucket("1/h", burst=100, clock=clock)
    admitted: list[int] = []

    def hammer() -> None:
        admitted.append(sum(unkeyed.try_acquire() == 0.0 for _ in range(1_000)))
        admitted.append(sum(keyed.try_acquire(number % 10) == 0.0 for number in range(1_000)))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == 1_000 + 10 * 100


def test_they_show_what_they_are() -> None:
    clock = FakeClock()
    assert repr(TokenBucket("5/s", clock=clock)) == "<TokenBucket 5/s, burst 5, 5.0 tokens>"
    assert repr(KeyedTokenBucket("5/s", 2, 10)) == "<KeyedTokenBucket 5/s, burst 2, for 10 keys>"
