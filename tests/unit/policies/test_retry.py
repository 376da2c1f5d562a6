"""What is repeated, how often, and after which waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from corten.errors import MessageError, RateLimited, ResourceUnavailable
from corten.pipeline import Pipeline
from corten.policies import Bulkhead, CircuitBreaker, RateLimit, Retry, Timeout
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


class Failing:
    """Fails some times, then returns the attempt's number; notes when it was called."""

    def __init__(self, clock: FakeClock, *errors: BaseException, late: bool = False) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.late = late
        self.times: list[float] = []

    async def __call__(self) -> int:
        self.times.append(self.clock.now() - 1000)
        if self.late:
            await anyio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        return len(self.times)


@pytest.mark.parametrize("late", [False, True])
async def test_waits_grow_and_the_clock_decides(
    clock: FakeClock, pipeline: Callable[..., Pipeline], late: bool
) -> None:
    work = Failing(clock, OSError(), TimeoutError(), ResourceUnavailable(), late=late)
    guarded = pipeline(Retry(max_attempts=4, wait=1, backoff=3, max_wait=5, jitter=0))(work)
    results = []

    async def run() -> None:
        results.append(await guarded())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(20)
    assert results == [4]
    assert work.times == [0, 1, 4, 9]


@pytest.mark.parametrize("error", [ValueError(), MessageError(), KeyError()])
async def test_what_will_not_pass_is_not_repeated(
    clock: FakeClock, pipeline: Callable[..., Pipeline], error: Exception
) -> None:
    work = Failing(clock, error)
    with pytest.raises(type(error)):
        await pipeline(Retry(wait=0))(work)()
    assert len(work.times) == 1


async def test_types_can_be_named(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Retry(wait=0, on=(LookupError, "builtins.ArithmeticError"), ignore=(IndexError,)))
    assert await guard(Failing(clock, KeyError(), ZeroDivisionError()))() == 3
    with pytest.raises(OSError):
        await guard(Failing(clock, OSError()))()
    with pytest.raises(IndexError):
        await guard(Failing(clock, IndexError()))()


async def test_the_last_error_is_raised_when_attempts_are_used_up(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(Retry(max_attempts=2, wait=0))
    with pytest.raises(OSError, match="second"):
        await guard(Failing(clock, OSError("first"), OSError("second"), OSError("third")))()
    assert (guard.statistics().errors, guard.statistics().retries) == (1, 1)


async def test_cancellation_is_never_repeated(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    calls = []

    @pipeline(Retry(max_attempts=5, wait=0))
    async def forever() -> None:
        calls.append(1)
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(forever)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert calls == [1]


async def test_a_cancelled_wait_makes_no_further_attempt(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(), Bulkhead(1), Retry(wait=5, jitter=0))
    work = Failing(clock, OSError(), OSError())
    async with anyio.create_task_group() as group:
        group.start_soon(guard(work))
        await clock.advance(1)
        group.cancel_scope.cancel()
    await clock.advance(60)
    assert len(work.times) == 1
    assert guard.statistics().bulkheads[0].running == 0
    assert guard.statistics().cancelled == 1


async def test_a_refusal_inside_is_waited_for_when_it_says_how_long(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    work = Failing(clock)
    guarded = pipeline(Retry(max_attempts=2, wait=0, max_wait=10), RateLimit("0.5/s", burst=1))(work)
    async with anyio.create_task_group() as group:
        group.start_soon(guarded)
        group.start_soon(guarded)
        await clock.advance(5)
    assert work.times == [0, 2]


async def test_a_refusal_that_asks_for_too_much_patience_is_raised(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guarded = pipeline(Retry(max_wait=1), RateLimit("0.5/s", burst=1))(Failing(clock))
    await guarded()
    with pytest.raises(RateLimited):
        await guarded()


async def test_a_refusal_of_another_pipeline_follows_the_same_rule(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    inner = pipeline(RateLimit("0.5/s", burst=1), name="inner")(Failing(clock))
    patient = pipeline(Retry(max_attempts=2, wait=0, max_wait=10), CircuitBreaker(failures=1), name="outer")(inner)
    done = []

    async def run() -> None:
        done.append(await patient())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        group.start_soon(run)
        await clock.advance(3)
    assert done == [1, 2], "nor did the breaker open"


async def test_what_is_inside_is_done_again_and_what_is_outside_once(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(RateLimit("1/s", burst=1), Retry(max_attempts=3, wait=0), CircuitBreaker(failures=3))
    with pytest.raises(OSError):
        await guard(Failing(clock, OSError(), OSError(), OSError()))()
    assert guard.statistics().breakers[0].state == "open"


async def test_no_attempt_begins_after_max_time(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    work = Failing(clock, *[OSError() for _ in range(9)])
    guarded = pipeline(Retry(max_attempts=9, wait=2, backoff=1, jitter=0, max_time=5))(work)

    async def run() -> None:
        with pytest.raises(OSError):
            await guarded()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(60)
    assert work.times == [0, 2, 4]


async def test_no_attempt_is_waited_for_beyond_the_time_limit(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    work = Failing(clock, OSError("the cause"))
    with pytest.raises(OSError, match="the cause"):
        await pipeline(Timeout(5), Retry(wait=10, jitter=0))(work)()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"max_attempts": 0}, "max_attempts is 0; it must be a whole number from 1 to"),
        ({"max_attempts": 2**32}, "max_attempts is 4294967296"),
        ({"max_attempts": 2.5}, "max_attempts is 2.5; it must be a whole number"),
        ({"wait": -1}, "wait is -1"),
        ({"backoff": 0.5}, "backoff is 0.5"),
        ({"jitter": 2}, "jitter is 2; it is a part of the wait"),
        ({"max_wait": float("nan")}, "max_wait is nan"),
        ({"on": ("no.such.Error",)}, "no exception 'no.such.Error'"),
        ({"on": (KeyboardInterrupt,)}, "not a subclass of Exception"),
    ],
)
def test_impossible_policies_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Retry(**wrong)
