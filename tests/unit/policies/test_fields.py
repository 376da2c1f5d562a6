"""What policies say to values of the wrong kind: which field, and what would be right."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from corten.policies import AdaptiveLimit, Cache, CircuitBreaker, Fallback, RateLimit, Retry, Timeout

SETTINGS = "texts such as '250ms' are for settings, in code write 0.25"


@pytest.mark.parametrize(
    ("policy", "fields", "words"),
    [
        (Timeout, {"seconds": "2s"}, f"timeout: seconds is '2s'; it must be a number above zero; {SETTINGS}"),
        (Cache, {"ttl": "60s"}, f"cache: ttl is '60s'; it must be a number above zero; {SETTINGS}"),
        (Retry, {"wait": "1s"}, f"retry: wait is '1s'; it must be a number of at least 0; {SETTINGS}"),
        (Timeout, {"seconds": timedelta(minutes=1)}, "it must be a number above zero: write its seconds, 60"),
        (RateLimit, {"rate": "5/s", "burst": 1.5}, "rate_limit: burst is 1.5; it must be a whole number"),
        (Retry, {"on": OSError}, "retry: on is OSError, which is one; it must be several: (OSError,)"),
        (Fallback, {"value": 1, "on": "OSError"}, "fallback: on is 'OSError', which is one; it must be several"),
        (CircuitBreaker, {"ignore": ("OSErr",)}, "circuit_breaker: ignore: there is no exception 'OSErr'"),
        (AdaptiveLimit, {"on": (OSError(),)}, "adaptive_limit: on: OSError() is not a subclass of Exception"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_words(policy: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        policy(**fields)


def test_a_single_template_of_tags_is_one() -> None:
    assert Cache(ttl=1, tags="user:{user_id}").tags == ("user:{user_id}",)
