"""What a pipeline says to what is no policy."""

from __future__ import annotations

import re
from typing import Any

import pytest

from corten.pipeline import Pipeline
from corten.policies import Retry


@pytest.mark.parametrize(("policy", "words"), [("cache", "'cache' is not a policy"), (Retry, "write Retry()")])
def test_what_is_no_policy_is_refused_with_what_one_looks_like(policy: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Pipeline("users", policy)
