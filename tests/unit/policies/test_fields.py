"""What policies say to values of the wrong kind: which field, and what would be right."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

import msgspec
import pytest

from corten import App
from corten.errors import SettingsError
from corten.policies import AdaptiveLimit, Cache, CircuitBreaker, Fallback, Policy, RateLimit, Retry, Timeout
from corten.policies.fields.exceptions import resolve

SETTINGS = "texts such as '250ms' are for settings, in code write 0.25"


@pytest.mark.parametrize(
    ("policy", "fields", "words"),
    [
        (Timeout, {"seconds": "2s"}, f"timeout: seconds is '2s'; it must be a number above zero; {SETTINGS}"),
        (Cache, {"ttl": "60s"}, f"cache: ttl is '60s'; it must be a number above zero; {SETTINGS}"),
        (
            Retry,
            {"initial_backoff": "1s"},
            f"retry: initial_backoff is '1s'; it must be a number of at least 0; {SETTINGS}",
        ),
        (Timeout, {"seconds": timedelta(minutes=1)}, "it must be a number above zero: write its seconds, 60"),
        (RateLimit, {"rate": "5/s", "burst": 1.5}, "rate_limit: burst is 1.5; it must be a whole number"),
        (Retry, {"on": 3}, "retry: on: 3 is not a subclass of Exception"),
        (Fallback, {"value": 1, "on": "OSErr"}, "fallback: on: there is no exception 'OSErr'"),
        (CircuitBreaker, {"ignore": ("OSErr",)}, "circuit_breaker: ignore: there is no exception 'OSErr'"),
        (AdaptiveLimit, {"on": (OSError(),)}, "adaptive_limit: on: OSError() is not a subclass of Exception"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_words(policy: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        policy(**fields)


@pytest.mark.parametrize("one", [OSError, "OSError", (OSError,), ("OSError",)])
def test_one_exception_may_stand_for_several(one: Any) -> None:
    for policy in (Retry(on=one), CircuitBreaker(on=one), Fallback(1, on=one), AdaptiveLimit(on=one)):
        assert resolve(policy.on) == (OSError,)


RENAMED = [(each, old, new) for each in get_args(Policy) for old, new in each.renamed_fields.items()]


@pytest.mark.parametrize(("policy", "old", "new"), RENAMED)
def test_a_renamed_field_is_refused_with_its_new_name(policy: Any, old: str, new: str) -> None:
    assert new in policy.__struct_fields__
    with pytest.raises(TypeError, match=f"{policy.__name__} has no field '{old}': it is now '{new}'"):
        policy(**{old: 1})


@pytest.mark.parametrize(("policy", "old", "new"), RENAMED)
def test_settings_say_the_new_name_of_a_renamed_key(policy: Any, old: str, new: str) -> None:
    tag = str(policy.__struct_config__.tag)
    app = App("test", config=None, arguments={"pipelines.rates.policies": [{"policy": tag, old: "1s"}]})
    with pytest.raises(SettingsError) as raised:
        app.load()
    assert f"pipelines.rates.policies[0].{old}: this key was renamed" in str(raised.value)
    assert f'"{new}"' in str(raised.value)


def test_settings_say_the_new_name_of_a_renamed_policy() -> None:
    app = App("test", config=None, arguments={"pipelines.rates.policies": [{"policy": "custom", "function": "a:b"}]})
    with pytest.raises(SettingsError, match='this kind was renamed.*"middleware"'):
        app.load()


def test_a_single_template_of_tags_is_one() -> None:
    assert Cache(ttl=1, tags="user:{user_id}").tags == ("user:{user_id}",)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda policy: policy(max_attemps=3), "Retry has no field 'max_attemps'; did you mean 'max_attempts'?"),
        (lambda policy: policy(*range(20)), "Retry has fields max_attempts, initial_backoff, "),
        (lambda policy: policy(3, max_attempts=4), "Argument 'max_attempts' given by name and position"),
    ],
)
def test_a_field_that_is_none_is_refused_with_the_nearest(make: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words)):
        make(Retry)


def test_a_field_that_is_missing_is_named() -> None:
    policy: Any = Timeout
    with pytest.raises(TypeError, match="Timeout needs 'seconds'"):
        policy()


def test_policies_can_be_copied_and_pickled() -> None:
    policy = Retry(5, initial_backoff=0.5)
    assert policy == copy.copy(policy) == pickle.loads(pickle.dumps(policy)) == msgspec.structs.replace(policy)
