"""When it opens, what it lets through, and who decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from corten.errors import CircuitOpen, DeadlineExceeded, RateLimited
from corten.events import BreakerChanged, Events
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import CircuitBreaker, RateLimit, Timeout
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


async def answer(error: Exception | None = None) -> int:
    if error is not None:
        raise error
    return 1


async def fail(guarded: Callable[..., Any], error: Exception | None = None) -> None:
    with pytest.raises(type(error or ValueError())):
        await guarded(error or ValueError())


async def test_failures_in_a_row_open_it_and_a_trial_closes_it(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=2, wait=30))
    guarded = guard(answer)
    await fail(guarded)
    await guarded()
    await fail(guarded)
    await fail(guarded)
    with pytest.raises(CircuitOpen) as caught:
        await guarded()
    assert caught.value.retry_after == 30
    clock.tick(30)
    assert await guarded() == 1
    assert guard.statistics().breakers[0].state == "closed"


async def test_half_open_lets_so_many_trials_through(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, wait=30, trials=2))
    guarded = guard(answer)
    hold = anyio.Event()

    @guard
    async def trial() -> None:
        await hold.wait()

    await fail(guarded)
    clock.tick(30)
    async with anyio.create_task_group() as group:
        group.start_soon(trial)
        group.start_soon(trial)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(CircuitOpen) as caught:
            await guarded()
        assert caught.value.retry_after is None
        hold.set()
    assert guard.statistics().breakers[0].state == "closed"


async def test_a_cancelled_trial_gives_its_permit_back(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, wait=30))
    guarded = guard(answer)

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    await fail(guarded)
    clock.tick(30)
    async with anyio.create_task_group() as group:
        group.start_soon(forever)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert await guarded() == 1


async def test_a_failed_trial_opens_it_for_another_wait(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, wait=30))
    guarded = guard(answer)
    await fail(guarded)
    clock.tick(30)
    await fail(guarded)
    with pytest.raises(CircuitOpen):
        await guarded()
    assert guard.statistics().breakers[0].opened == 2


async def test_a_timeout_inside_counts(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1), Timeout(2))

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    async def run() -> None:
        with pytest.raises(DeadlineExceeded):
            await forever()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(2)
    with pytest.raises(CircuitOpen):
        await forever()


async def test_to_a_breaker_inside_a_timeout_the_call_was_cancelled(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(Timeout(2), CircuitBreaker(failures=1))

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    async def run() -> None:
        with pytest.raises(DeadlineExceeded):
            await forever()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(2)
    assert guard.statistics().breakers[0].state == "closed"
    assert guard.statistics().timeouts == 1


async def test_refusals_inside_are_no_failures(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1), RateLimit("1/min", burst=1))
    guarded = guard(answer)
    await guarded()
    for _ in range(3):
        with pytest.raises(RateLimited):
            await guarded()


async def test_types_decide_what_is_a_failure(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, on=(LookupError,), ignore=(KeyError,)))
    guarded = guard(answer)
    await fail(guarded, ValueError())
    await fail(guarded, KeyError())
    assert guard.statistics().breakers[0].state == "closed"
    await fail(guarded, IndexError())
    assert guard.statistics().breakers[0].state == "open"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"failures": 0}, "failures is 0"),
        ({"wait": 0}, "wait is 0; it must be a number above zero"),
        ({"trials": -1}, "trials"),
        ({"failures": 2**32}, "failures is 4294967296; it must be a whole number from 1 to 4294967295"),
    ],
)
def test_impossible_policies_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"circuit_breaker: {words}"):
        CircuitBreaker(**wrong)


async def test_each_change_of_state_is_an_event(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, wait=30), name="rates")
    guarded = guard(answer)
    events, heard = Events(), []
    events.subscribe(lambda event: heard.append((event.before, event.after)), BreakerChanged)
    guard.bind(owner=object(), clock=clock, registry=Registry(), events=events)
    await fail(guarded)
    clock.tick(30)
    await guarded()
    assert heard == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
