"""Pipelines with policies switched off by a test."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest

from corten.errors import CircuitOpen, CortenError, RateLimited
from corten.pipeline import Pipeline
from corten.policies import Cache, CircuitBreaker, RateLimit, Retry
from corten.testing import Script, breaker_state, no_policies, only_first_attempt

pytestmark = pytest.mark.anyio


async def test_without_policies_calls_go_straight_through_and_nothing_is_counted(
    pipeline: Callable[..., Pipeline],
) -> None:
    limited = pipeline(Cache(), RateLimit("1/s", burst=1))
    answers = iter(range(10))

    @limited
    async def answer() -> int:
        return next(answers)

    assert await answer() == 0
    before = limited.statistics()
    with no_policies(limited):
        assert [await answer() for _ in range(3)] == [1, 2, 3]
        assert limited.statistics() == before
    assert await answer() == 0  # the cache has kept its result


async def test_plain_functions_are_let_through_as_well(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(RateLimit("1/s", burst=1))
    def answer(x: int, *, double: bool = False) -> int:
        return x * 2 if double else x

    with no_policies():
        assert [answer(1), answer(2, double=True)] == [1, 4]
    assert answer(3) == 3
    with pytest.raises(RateLimited):
        answer(3)


async def test_pipelines_whose_settings_never_came_can_be_called(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(name="users")
    async def load(user: int) -> str:
        return f"user {user}"

    with no_policies():
        assert await load(7) == "user 7"
    with pytest.raises(CortenError, match="settings"):
        await load(7)


async def test_pipelines_made_meanwhile_are_switched_too_and_switched_back(pipeline: Callable[..., Pipeline]) -> None:
    with no_policies():

        @pipeline(RateLimit("1/s", burst=1))
        async def answer() -> int:
            return 1

        assert [await answer(), await answer()] == [1, 1]
    await answer()
    with pytest.raises(RateLimited):
        await answer()


async def test_pipelines_that_are_not_named_keep_their_policies(pipeline: Callable[..., Pipeline]) -> None:
    bare, guarded = pipeline(RateLimit("1/s", burst=1)), pipeline(RateLimit("1/s", burst=1))

    async def answer() -> int:
        return 1

    of_bare, of_guarded = bare(partial(answer)), guarded(partial(answer))
    with no_policies(bare):
        assert [await of_bare(), await of_bare(), await of_guarded()] == [1, 1, 1]
        with pytest.raises(RateLimited):
            await of_guarded()


async def test_with_only_the_first_attempt_no_retry_repeats_and_the_rest_holds(
    pipeline: Callable[..., Pipeline],
) -> None:
    guard = pipeline(Retry(max_attempts=5, initial_backoff=0, jitter=0), RateLimit("1/s", burst=2))
    script = Script[int](OSError("one"), OSError("two"), 3)
    call = guard(script.function)
    with only_first_attempt():
        with pytest.raises(OSError, match="one"):
            await call()
        with pytest.raises(OSError, match="two"):
            await call()
        with pytest.raises(RateLimited):
            await call()
    assert guard.policies[0] == Retry(max_attempts=5, initial_backoff=0, jitter=0)
    assert len(script.calls) == 2


async def test_the_fixtures_do_the_same(
    no_policies: None, only_first_attempt: None, pipeline: Callable[..., Pipeline]
) -> None:
    @pipeline(RateLimit("1/s", burst=1))
    async def answer() -> int:
        return 1

    assert [await answer(), await answer()] == [1, 1]


@pytest.mark.parametrize("state", ["open", "forced_open"])
async def test_a_breaker_is_held_open_and_closed_again(
    pipeline: Callable[..., Pipeline], state: Literal["open", "forced_open"]
) -> None:
    guard = pipeline(CircuitBreaker())

    @guard
    async def answer() -> int:
        return 1

    with breaker_state(guard, state):
        assert guard.breakers[0].state == state
        with pytest.raises(CircuitOpen):
            await answer()
    assert await answer() == 1
    assert guard.breakers[0].state == "closed"


async def test_a_breaker_that_is_half_open_lets_its_trials_decide(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(half_open_calls=1))
    call = guard(Script[int](OSError("away")).function)
    with breaker_state(guard, "half_open"):
        with pytest.raises(OSError, match="away"):
            await call()
        assert guard.breakers[0].state == "open"


def test_a_breaker_that_is_not_there_is_an_error(pipeline: Callable[..., Pipeline]) -> None:
    with (
        pytest.raises(ValueError, match="has 0 circuit breakers, and no number 0"),
        breaker_state(pipeline(Retry()), "open"),
    ):
        pass
    with pytest.raises(ValueError, match="ajar"), breaker_state(pipeline(CircuitBreaker()), "ajar"):  # type: ignore[arg-type]
        pass
