"""The policy `Chaos` as data."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from corten.errors import ChaosError
from corten.policies.chaos import Chaos, made


class Wordless(Exception):
    def __init__(self) -> None:
        super().__init__("no words taken")


class Wanting(Exception):
    def __init__(self, *, status: int) -> None:
        super().__init__(status)


def test_it_is_written_with_the_share_of_errors_first() -> None:
    assert Chaos(0.05) == Chaos(error_rate=0.05)
    assert Chaos(0.05).errors() == (ChaosError,)


def test_errors_are_types_or_names() -> None:
    assert Chaos(error=OSError).errors() == (OSError,)
    assert Chaos(error=("TimeoutError", KeyError)).errors() == (TimeoutError, KeyError)
    assert str(made(OSError)) == "injected by a chaos policy"
    assert str(made(Wordless)) == "no words taken"


def test_settings_decode_it() -> None:
    said = {"policy": "chaos", "error_rate": 1, "error": ["OSError", "KeyError"], "key": "tenant", "keys": ["a", 2]}
    policy = msgspec.convert(said, Chaos)
    assert policy.errors() == (OSError, KeyError)
    assert (policy.error_rate, policy.key, policy.keys) == (1, "tenant", ("a", 2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"error_rate": -0.1}, "chaos: error_rate is -0.1; it must be a number from 0 to 1"),
        ({"latency_rate": 1.5}, "chaos: latency_rate is 1.5"),
        ({"result_rate": math.nan}, "chaos: result_rate is nan"),
        ({"error_rate": 0.7, "result_rate": 0.7}, "more than all calls together"),
        ({"latency": 0.0}, "chaos: latency is 0.0; it must be a number above zero"),
        ({"latency": 2.0, "max_latency": 1.0}, "chaos: max_latency is 1.0; it must be a number of at least 2"),
        ({"key": "tenant"}, "expected both, the parameter and its values"),
        ({"keys": (1,)}, "expected both, the parameter and its values"),
        ({"key": "no name", "keys": (1,)}, "must be the name of a parameter"),
        ({"seed": -1}, "chaos: seed is -1"),
        ({"error": "no.such.Error"}, "there is no exception 'no.such.Error'"),
        ({"error": ()}, "at least one exception type"),
        ({"error": "KeyboardInterrupt"}, "is not a subclass of Exception"),
        ({"error": "UnicodeDecodeError"}, "a UnicodeDecodeError can't be made from a text alone"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_made(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Chaos(**wrong)
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"policy": "chaos", **wrong}, Chaos)


def test_an_error_that_needs_more_than_words_is_refused() -> None:
    with pytest.raises(ValueError, match="a Wanting can't be made"):
        Chaos(error=Wanting)
