"""The policy `RateLimit` as data."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from corten import RateLimit
from corten.policies import Policy


def test_it_is_written_with_the_rate_first() -> None:
    assert RateLimit("0.5/s", burst=5) == RateLimit(rate="0.5/s", burst=5, max_wait=0.0, key=None)


def test_settings_decode_it_by_its_word() -> None:
    policy = msgspec.convert({"policy": "rate_limit", "rate": "5/min", "key": "user_id"}, Policy)
    assert policy == RateLimit("5/min", key="user_id")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate": "fast"}, 'rate_limit: "fast" is not a rate'),
        ({"rate": "1/moon"}, "rate_limit: .* is not a time"),
        ({"rate": "1/s", "burst": 0}, "rate_limit: burst must be at least 1, not 0"),
        ({"rate": "1/s", "burst": 2**70}, "rate_limit: "),
        ({"rate": "1/s", "max_wait": -1.0}, "rate_limit: max_wait is -1.0"),
        ({"rate": "1/s", "key": "user id"}, "must be the name of a parameter"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_made(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RateLimit(**wrong)
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"policy": "rate_limit", **wrong}, Policy)
