"""Flags are stable, monotone, independent, and hit their share."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.flags import Flags, Rollout

KEYS = [f"user-{number}" for number in range(20_000)]
shares = st.floats(min_value=0, max_value=1)


def test_plain_flags_are_on_or_off_for_everybody() -> None:
    flags = Flags({"on": True, "off": False})
    assert flags.is_enabled("on")
    assert flags.is_enabled("on", key="anybody")
    assert not flags.is_enabled("off")
    assert not flags.is_enabled("off", key="anybody")


def test_unknown_flags_are_the_default() -> None:
    assert not Flags().is_enabled("nobody knows")
    assert Flags().is_enabled("nobody knows", default=True)


def test_a_share_needs_a_key() -> None:
    flags = Flags({"half": Rollout(0.5), "all": Rollout(1.0)})
    assert not flags.is_enabled("half")
    assert flags.is_enabled("all")


@given(st.text(), shares, shares)
def test_raising_a_rollout_turns_it_off_for_nobody(key: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    if Flags({"x": Rollout(low)}).is_enabled("x", key=key):
        assert Flags({"x": Rollout(high)}).is_enabled("x", key=key)


@given(st.text())
def test_nothing_and_everything_are_exact(key: str) -> None:
    assert not Flags({"x": Rollout(0.0)}).is_enabled("x", key=key)
    assert Flags({"x": Rollout(1.0)}).is_enabled("x", key=key)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.99])
def test_the_share_of_keys_is_what_was_asked_for(share: float) -> None:
    flags = Flags({"x": Rollout(share)})
    on = sum(flags.is_enabled("x", key=key) for key in KEYS)
    # Five standard deviations of a binomial; the keys are fixed, so this either always holds or never.
    assert abs(on - share * len(KEYS)) <= 5 * math.sqrt(len(KEYS) * share * (1 - share))


def test_flags_choose_independently_unless_they_share_a_salt() -> None:
    flags = Flags({"a": Rollout(0.5), "b": Rollout(0.5), "c": Rollout(0.5, salt="s"), "d": Rollout(0.5, salt="s")})
    both = sum(flags.is_enabled("a", key=key) and flags.is_enabled("b", key=key) for key in KEYS)
    assert abs(both - len(KEYS) / 4) <= 5 * math.sqrt(len(KEYS) * 3 / 16)
    assert all(flags.is_enabled("c", key=key) == flags.is_enabled("d", key=key) for key in KEYS[:1000])


def test_the_algorithm_is_the_documented_one_and_does_not_move() -> None:
    # Known answers: a change here moves users between variants in everybody's deployments.
    flags = Flags({"new_checkout": Rollout(0.25)})
    assert [key for key in range(24) if flags.is_enabled("new_checkout", key=key)] == [0, 1, 2, 3, 7, 9, 12, 13, 17, 22]


def test_keys_are_compared_by_their_text() -> None:
    flags = Flags({"x": Rollout(0.5)})
    assert all(flags.is_enabled("x", key=number) == flags.is_enabled("x", key=str(number)) for number in range(100))


def test_states_list_what_is_set() -> None:
    flags = Flags({"b": Rollout(0.25, salt="s"), "a": True})
    assert [(state.name, state.rollout, state.salt) for state in flags.states()] == [("a", 1.0, "a"), ("b", 0.25, "s")]
    assert "a" in flags
    assert repr(flags) == "Flags(a=1, b=0.25)"
