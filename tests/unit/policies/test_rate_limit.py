"""The policy `RateLimit` as data."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from corten import RateLimit
from corten.policies import Policy


def by_length(*args: Any, **kwargs: Any) -> int:
    return len(args) + len(kwargs)


async def by_waiting() -> int:
    return 1


def test_it_is_written_with_the_rate_first() -> None:
    assert RateLimit("0.5/s", burst=5) == RateLimit(rate="0.5/s", burst=5, max_wait=0.0, key=None)
    assert RateLimit("5/s", 10, 2.0, "user") == RateLimit("5/s", burst=10, max_wait=2.0, key="user")


def test_settings_decode_it_by_its_word() -> None:
    policy = msgspec.convert({"policy": "rate_limit", "rate": "5/min", "key": "user_id"}, Policy)
    assert policy == RateLimit("5/min", key="user_id")
    named = f"{__name__}:by_length"
    settings = {"policy": "rate_limit", "rate": "5/min", "key": named, "cost": 2, "algorithm": "sliding_window"}
    assert msgspec.convert(settings, Policy) == RateLimit("5/min", key=named, cost=2, algorithm="sliding_window")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate": "fast"}, 'rate_limit: "fast" is not a rate'),
        ({"rate": "1/moon"}, "rate_limit: .* is not a time"),
        ({"rate": "1/s", "burst": 0}, "rate_limit: burst must be at least 1, not 0"),
        ({"rate": "1/s", "burst": 2**70}, "rate_limit: |Integer value out of range"),
        ({"rate": "1/s", "max_wait": -1.0}, "rate_limit: max_wait is -1.0"),
        ({"rate": "1/s", "key": "user id"}, "must be the name of a parameter"),
        ({"rate": "1/s", "key": "no.such:function"}, "rate_limit: key is 'no.such:function', which can't be found"),
        ({"rate": "1/s", "key": f"{__name__}:by_waiting"}, "which is async; it must give its answer at once"),
        ({"rate": "1/s", "cost": "user id"}, "rate_limit: cost is 'user id'"),
        ({"rate": "1/s", "cost": 0}, "rate_limit: cost is 0; it must be a whole number from 1"),
        ({"rate": "5/s", "cost": 6}, "rate_limit: cost is 6, and the limit never holds more than 5"),
        ({"rate": "5/s", "algorithm": "fixed_window", "cost": 6}, "never holds more than 5"),
        ({"rate": "0.5/s", "algorithm": "fixed_window"}, 'write "1/2s" instead of "0.5/s"'),
        ({"rate": "5/s", "algorithm": "sliding_window", "burst": 3}, "rate_limit: a window .* leave burst out"),
        ({"rate": "5/s", "algorithm": "leaky_bucket", "burst": 1, "max_wait": 2.0}, "has no room for those that wait"),
        ({"rate": "1/s", "max_keys": 10}, "rate_limit: max_keys is 10 and there is no key"),
        ({"rate": "1/s", "key": "user", "max_keys": 0}, "rate_limit: max_keys is 0"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_made(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RateLimit(**wrong)
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"policy": "rate_limit", **wrong}, Policy)


def test_an_algorithm_that_is_none_is_said() -> None:
    with pytest.raises(ValueError, match="rate_limit: algorithm is 'guess'|algorithm is \"guess\"; it must be token_b"):
        RateLimit("1/s", algorithm="guess")  # type: ignore[arg-type]
    with pytest.raises(msgspec.ValidationError, match="algorithm"):
        msgspec.convert({"policy": "rate_limit", "rate": "1/s", "algorithm": "guess"}, Policy)


def test_a_leaky_bucket_holds_as_many_as_may_wait() -> None:
    assert RateLimit("2/s", max_wait=10.0, algorithm="leaky_bucket").holds() == 21
    assert RateLimit("5/s", algorithm="leaky_bucket").holds() == 5
    assert RateLimit("5/s", burst=3, algorithm="leaky_bucket").holds() == 3
