"""Errors for wrong policies, names and functions."""

from __future__ import annotations

import re
from typing import Any

import pytest

from corten.errors import CortenError
from corten.pipeline import Pipeline
from corten.policies import Hedge, Retry, RetryBudget, Timeout


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("cache", "'cache' is not a policy"),
        (Retry, "pipeline 'users': Retry is a class: write Retry()"),
        ([Retry(), Timeout(1)], "a list is not a policy; write them one by one, or *policies"),
    ],
)
def test_what_is_no_policy_is_refused_with_what_one_looks_like(policy: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Pipeline("users", policy)


@pytest.mark.parametrize("name", ["", " ", Retry(), print])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="a pipeline needs a name"):
        Pipeline(name)


def test_what_cannot_be_called_is_refused_where_it_is_decorated() -> None:
    pipeline: Any = Pipeline("users", Retry())
    with pytest.raises(TypeError, match="pipeline 'users': 5 can't be called"):
        pipeline(5)


@pytest.mark.anyio
async def test_a_call_wants_a_function_and_no_coroutine() -> None:
    async def load(user: int) -> int:
        return user

    pipeline: Any = Pipeline("users", Retry())
    coroutine = load(1)
    with pytest.raises(TypeError, match=re.escape("give the function and its arguments: call(fn, 1)")):
        await pipeline.call(coroutine)
    coroutine.close()
    with pytest.raises(TypeError, match="5 can't be called; give a function"):
        await pipeline.call(5)


def test_two_budgets_are_refused_with_the_name_of_the_pipeline() -> None:
    with pytest.raises(ValueError, match="pipeline 'users': its policies have different retry budgets"):
        Pipeline("users", Retry(budget=RetryBudget(0.1)), Hedge(1, budget=RetryBudget(0.2)))


@pytest.mark.anyio
async def test_without_policies_it_says_where_they_would_come_from() -> None:
    with pytest.raises(CortenError, match=re.escape("they come from [pipelines.users] of the settings")):
        await Pipeline("users").call(lambda: None)  # type: ignore[arg-type,return-value] # pyright: ignore[reportArgumentType]
