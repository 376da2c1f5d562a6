"""Another attempt beside a slow one: when it begins, which counts, and that none is left."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import msgspec
import pytest

from corten import deadline
from corten.events import CallHedged, Events
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.policies import (
    Bulkhead,
    Cache,
    CircuitBreaker,
    Fallback,
    Hedge,
    Retry,
    RetryBudget,
    Timeout,
    not_idempotent,
)
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


class Server:
    """Attempts that take so long each, and end with a result or an error; knows what became of them."""

    def __init__(self, clock: FakeClock, *plan: tuple[float, object]) -> None:
        self.clock = clock
        self.plan = list(plan)
        self.begun: list[float] = []
        self.ended: list[str] = []

    async def __call__(self, x: int = 0) -> object:
        number = len(self.begun) + 1
        seconds, outcome = self.plan[number - 1] if number <= len(self.plan) else (0.0, f"{number}: {x}")
        self.begun.append(self.clock.now() - 1000)
        try:
            if seconds:
                await self.clock.sleep(seconds)
        except BaseException:
            self.ended.append(f"{number} cancelled")
            await anyio.lowlevel.cancel_shielded_checkpoint()
            raise
        self.ended.append(f"{number} ended")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


async def through(clock: FakeClock, work: Callable[[], Any], seconds: float = 600) -> object:
    """What the call gave or raised, and after how long."""
    ended: list[object] = []
    begun = clock.now()

    async def run() -> None:
        try:
            ended.append((await work(), round(clock.now() - begun, 3)))
        except Exception as error:
            ended.append((error, round(clock.now() - begun, 3)))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(seconds)
    assert len(ended) == 1
    return ended[0]


async def test_a_slow_attempt_is_overtaken_and_cancelled(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (60, "slow"), (1, "fast"))
    guard = pipeline(Hedge(delay=2))
    function = guard(server)  # statistics are of functions that live
    assert await through(clock, function) == ("fast", 3.0)
    assert server.begun == [0, 2]
    assert server.ended == ["2 ended", "1 cancelled"]
    seen = guard.statistics()
    assert (seen.calls, seen.successes, seen.hedged) == (1, 1, {"hedge": 1})
    hedge = seen.hedges[0]
    assert (hedge.started, hedge.won, hedge.delay) == (1, 1, 2)


async def test_the_first_attempt_may_still_win(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (3, "first"), (60, "second"))
    assert await through(clock, pipeline(Hedge(delay=2))(server)) == ("first", 3.0)
    assert server.ended == ["1 ended", "2 cancelled"]


@pytest.mark.parametrize("seconds", [0.0, 1.0])
async def test_a_call_that_is_not_slow_is_made_once(
    clock: FakeClock, pipeline: Callable[..., Pipeline], seconds: float
) -> None:
    server = Server(clock, (seconds, "first"))
    guard = pipeline(Hedge(delay=2))
    assert await through(clock, guard(server)) == ("first", seconds)
    assert server.begun == [0]
    assert guard.statistics().hedged == {}


async def test_there_may_be_several_one_after_the_other(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (60, 1), (60, 2), (60, 3), (1, 4))
    assert await through(clock, pipeline(Hedge(delay=2, max_hedges=3))(server)) == (4, 7.0)
    assert server.begun == [0, 2, 4, 6]
    assert sorted(server.ended) == ["1 cancelled", "2 cancelled", "3 cancelled", "4 ended"]
    server = Server(clock, (60, 1), (60, 2), (1, 3))
    begun = clock.now() - 1000
    assert await through(clock, pipeline(Hedge(delay=2, max_hedges=1))(server)) == (1, 60.0)
    assert server.begun == [begun, begun + 2]


async def test_an_error_before_the_delay_is_raised_at_once(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    for seconds in (0.0, 1.0):
        error = OSError("away")
        server = Server(clock, (seconds, error))
        assert await through(clock, pipeline(Hedge(delay=2))(server)) == (error, seconds)
        assert len(server.begun) == 1


async def test_an_error_of_one_attempt_waits_for_the_other(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (3, OSError()), (5, "second"))
    assert await through(clock, pipeline(Hedge(delay=2))(server)) == ("second", 7.0)
    server = Server(clock, (9, "first"), (1, OSError()))
    assert await through(clock, pipeline(Hedge(delay=2))(server)) == ("first", 9.0)


async def test_where_all_fail_the_first_ones_error_is_raised_and_knows_of_the_others(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    first = OSError("first")
    guarded = pipeline(Hedge(delay=2, max_hedges=2))(
        Server(clock, (9, first), (1, KeyError("second")), (1, OSError("third")))
    )
    assert await through(clock, guarded) == (first, 9.0)
    assert first.__notes__ == [
        "pipeline 'p': an attempt beside it failed as well: KeyError: 'second'",
        "pipeline 'p': an attempt beside it failed as well: OSError: third",
    ]
    again = pipeline(Hedge(delay=2))(Server(clock, (9, first), (1, KeyError("second"))))
    assert await through(clock, again) == (first, 9.0)
    assert len(first.__notes__) == 2, "it does not grow"


async def test_what_is_inside_is_done_by_each_attempt(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (60, 1), (1, OSError()), (0, "third"))
    guard = pipeline(Bulkhead(1), Hedge(delay=2), Retry(initial_backoff=1, jitter=0), Bulkhead(5), Timeout(30))
    assert await through(clock, guard(server)) == ("third", 4.0)
    assert [each.running for each in guard.statistics().bulkheads] == [0, 0]
    assert guard.statistics().calls == 1


async def test_what_is_outside_sees_one_call(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (9, OSError()), (9, OSError()), (9, OSError()), (1, "fourth"))
    guard = pipeline(Fallback(0), Retry(2, initial_backoff=0), CircuitBreaker(failures=9), Hedge(delay=2))
    assert await through(clock, guard(server)) == ("fourth", 14.0)
    assert guard.statistics().breakers[0].failures == 0
    assert guard.statistics().retries == 1


async def test_a_time_limit_outside_ends_all_attempts(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (60, 1), (60, 2))
    ended = await through(clock, pipeline(Timeout(5), Hedge(delay=2))(server))
    assert isinstance(ended, tuple)
    assert isinstance(ended[0], TimeoutError)
    assert ended[1] == 5.0
    assert sorted(server.ended) == ["1 cancelled", "2 cancelled"]


async def test_it_takes_from_the_budget_that_retries_use_as_well(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    budget = RetryBudget(ratio=0, min_per_second=0, burst=2)
    guard = pipeline(Retry(2, initial_backoff=0, budget=budget), Hedge(delay=2, max_hedges=5))
    server = Server(clock, *[(20, OSError())] * 3, (20, "fourth"))
    ended = await through(clock, guard(server))
    assert isinstance(ended, tuple)
    assert isinstance(ended[0], OSError)
    assert len(server.begun) == 3, "two hedges, and nothing left for a retry"
    seen = guard.statistics().retry_budget
    assert seen is not None
    assert (seen.balance, seen.granted, seen.refused) == (0, 2, 2)


async def test_there_is_a_budget_where_nobody_says_one(pipeline: Callable[..., Pipeline]) -> None:
    seen = pipeline(Hedge(delay=1)).statistics().retry_budget
    assert seen is not None
    assert seen.balance == 100
    with pytest.raises(ValueError, match="different retry budgets"):
        pipeline(Hedge(delay=1, budget=RetryBudget(burst=5)), Retry(budget=RetryBudget(burst=6)))


async def test_a_quantile_is_learned_from_calls(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    times: list[float] = []

    async def work() -> float:
        await clock.sleep(times.pop(0))
        return clock.now()

    guard = pipeline(Hedge(quantile=0.9, min_samples=20))
    guarded = guard(work)
    for number in range(20):
        times.append(0.1 if number < 17 else 1.0)
        await through(clock, guarded, 5)
    assert guard.statistics().hedged == {}, "nothing was known yet"
    times.extend([50.0, 0.1])
    ended = await through(clock, guarded, 100)
    assert isinstance(ended, tuple)
    assert 1.0 <= ended[1] <= 1.2, "begun after one second, give or take a twentieth"
    assert guard.statistics().hedged == {"hedge": 1}


async def test_before_there_are_samples_the_delay_holds(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (60, "slow"), (1, "fast"))
    assert await through(clock, pipeline(Hedge(delay=2, quantile=0.9))(server)) == ("fast", 3.0)


async def test_a_quantile_learns_from_calls_that_never_suspend(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(Hedge(quantile=0.5, min_samples=10))
    server = Server(clock)
    guarded = guard(server)
    for _ in range(10):
        await guarded()
    server.plan = [(0, 0)] * 10 + [(9, "slow"), (0, "fast")]
    assert await through(clock, guarded) == ("fast", 0.0)


async def test_a_function_that_must_not_be_done_twice_is_called_once(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    server = Server(clock, (9, "first"))
    guard = pipeline(Hedge(delay=1), Bulkhead(2))

    @guard
    @not_idempotent
    async def pay() -> object:
        return await server()

    assert await through(clock, pay) == ("first", 9.0)
    assert server.begun == [0]


async def test_each_attempt_has_the_context_of_the_call(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    attempt: ContextVar[str] = ContextVar("attempt")
    attempt.set("caller")
    seen: list[str] = []

    @pipeline(Hedge(delay=1))
    async def work() -> None:
        seen.append(attempt.get())
        attempt.set(f"attempt {len(seen)}")
        await clock.sleep(5 if len(seen) == 1 else 0.5)

    await through(clock, work)
    assert seen == ["caller", "caller"]


async def test_each_attempt_knows_the_deadline_around_the_call(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    left: list[float | None] = []

    @pipeline(Timeout(10), Hedge(delay=2))
    async def work() -> None:
        left.append(deadline.remaining())
        await clock.sleep(5 if len(left) == 1 else 1)
        left.append(deadline.remaining())

    await through(clock, work)
    assert left == [pytest.approx(10), pytest.approx(8), pytest.approx(7)]


@pytest.mark.parametrize("slow", [1, 2, 3])
async def test_cancelled_at_any_await_no_attempt_is_left(
    clock: FakeClock, pipeline: Callable[..., Pipeline], slow: int
) -> None:
    guard = pipeline(Bulkhead(9), Hedge(delay=0, max_hedges=2), Bulkhead(9))
    running = 0

    @guard
    async def work(turns: list[int]) -> None:
        nonlocal running
        running += 1
        try:
            for _ in range(turns.pop(0)):
                await anyio.lowlevel.checkpoint()
            if slow == 3:
                raise OSError
        finally:
            if slow != 1:  # the first attempt is cancelled as `asyncio.timeout` does it, which no shield keeps away
                await anyio.lowlevel.cancel_shielded_checkpoint()
            running -= 1

    async def operation() -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(tick)
                await work([20 if slow == 1 else 8, 6, 6])
                group.cancel_scope.cancel()
        except* OSError:
            pass

    async def tick() -> None:
        while True:
            clock.tick(0.001)
            await anyio.lowlevel.checkpoint()

    def check() -> None:
        assert running == 0
        assert [each.running for each in guard.statistics().bulkheads] == [0, 0]

    assert await cancel_at_each_await(operation, check) > 3


async def test_a_loser_that_takes_its_time_to_end_is_waited_for(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    ended: list[str] = []

    @pipeline(Hedge(delay=1))
    async def work() -> str:
        begun.append(1)
        if len(begun) == 2:
            await clock.sleep(0.5)
            return "second"
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await clock.sleep(3)
            ended.append("first")
        raise AssertionError

    begun: list[int] = []
    assert await through(clock, work) == ("second", 4.5)
    assert ended == ["first"]


async def test_a_loser_that_fails_on_its_way_out_harms_nobody(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    begun: list[int] = []

    @pipeline(Hedge(delay=1))
    async def work() -> str:
        begun.append(1)
        if len(begun) == first:
            await clock.sleep(1.5)
            return "won"
        try:
            await anyio.sleep_forever()
        finally:
            raise OSError("while it ended")

    for first in (1, 2):
        begun.clear()
        assert await through(clock, work) == ("won", 1.5 if first == 1 else 2.5)


async def test_the_users_traceback_is_whole(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    async def inner(seconds: float) -> None:
        if seconds:
            await clock.sleep(seconds)
        raise OSError("deep")

    async def outer(seconds: float) -> None:
        await inner(seconds)

    guarded = pipeline(Hedge(delay=1), Bulkhead(5))(outer)
    for seconds in (0.0, 0.5, 1.5):
        ended = await through(clock, lambda: guarded(seconds))  # noqa: B023
        assert isinstance(ended, tuple)
        frames = traceback.extract_tb(ended[0].__traceback__)
        names = [frame.name for frame in frames]
        assert names[-2:] == ["outer", "inner"]
        ours = [each for each in frames if "corten" in each.filename and "/tests/" not in each.filename]
        assert len(ours) <= 3, names


async def test_it_is_told(clock: FakeClock) -> None:
    events = Events()
    told: list[CallHedged] = []
    events.subscribe(told.append, CallHedged)
    guard = Pipeline("rates", Hedge(delay=2, max_hedges=2))
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), events=events)
    await through(clock, guard(Server(clock, (60, 1), (60, 2), (1, 3))))
    assert [(each.pipeline, each.policy, each.attempt, round(each.after, 3)) for each in told] == [
        ("rates", "hedge", 2, 2.0),
        ("rates", "hedge", 3, 4.0),
    ]


async def test_it_stands_inside_of_a_cache_as_well(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (60, "slow"), (1, "fast"))
    guard = pipeline(Cache(ttl=60), Hedge(delay=2))
    guarded = guard(server)
    assert await through(clock, lambda: guarded(1), 5) == ("fast", 3.0)
    assert await guarded(1) == "fast"
    assert guard.statistics().hits == 1


async def test_a_thousand_slow_calls_at_once_leave_nothing(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Hedge(delay=1, budget=RetryBudget(burst=500)), Bulkhead(10_000))
    begun = 0

    @guard
    async def work() -> int:
        nonlocal begun
        begun += 1
        await clock.sleep(10 if begun <= 1000 else 1)
        return begun

    async with anyio.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(work)
        await clock.advance(30)
    seen = guard.statistics()
    assert (seen.successes, seen.hedged, seen.bulkheads[0].running) == (1000, {"hedge": 500}, 0)


def test_a_call_that_is_thrown_away_leaves_no_task(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    server = Server(clock, (60, 1), (60, 2))
    guarded = pipeline(Hedge(delay=1))(server)

    async def main() -> None:
        coroutine = guarded()
        with pytest.raises(RuntimeError):
            # Driven by hand, no task of its own: nothing can be cancelled, and closing it must not wait.
            coroutine.send(None)
            coroutine.close()
            raise RuntimeError
        await asyncio.sleep(0)

    asyncio.run(main())
    gc.collect()
    assert server.ended == ["1 cancelled"]


def test_it_hedges_in_a_timer_of_the_loop() -> None:
    """No task is the current one there. Not with a FakeClock, whose callbacks run in the task that moves it."""
    begun: list[int] = []

    async def main() -> int:
        never = asyncio.Event()

        @Pipeline("slow", Hedge(delay=0.001))
        async def server() -> int:
            begun.append(len(begun))
            if len(begun) == 1:
                await never.wait()
            return len(begun)

        return await asyncio.wait_for(server(), 5)

    assert asyncio.run(main()) == 2
    assert begun == [0, 1]


def test_an_attempt_that_has_not_begun_when_the_call_ends_never_does(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    server = Server(clock, (1, "first"), (5, "second"))
    guarded = pipeline(Hedge(delay=1))(server)

    async def main() -> object:
        call = asyncio.ensure_future(guarded())
        await clock.advance(1)
        return await call

    assert asyncio.run(main()) == "first"
    assert "2 ended" not in server.ended


def test_it_comes_from_settings() -> None:
    decoded = msgspec.convert({"policy": "hedge", "quantile": 0.99, "budget": {"ratio": 0.1}}, Hedge)
    assert decoded == Hedge(quantile=0.99, budget=RetryBudget(ratio=0.1))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "neither delay nor quantile is set"),
        ({"delay": -1}, "delay is -1"),
        ({"delay": float("inf")}, "delay is inf"),
        ({"quantile": 1}, "quantile is 1; it must be between 0 and 1"),
        ({"quantile": 0}, "quantile is 0; it must be between"),
        ({"quantile": -0.5}, "quantile is -0.5"),
        ({"delay": 1, "max_hedges": 0}, "max_hedges is 0"),
        ({"delay": 1, "max_hedges": 101}, "max_hedges is 101"),
        ({"quantile": 0.9, "min_samples": 0}, "min_samples is 0"),
        ({"delay": 1, "budget": 3}, "must be a RetryBudget"),
    ],
)
def test_impossible_policies_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Hedge(**wrong)


def test_a_plain_function_is_refused_at_decoration(pipeline: Callable[..., Pipeline]) -> None:
    with pytest.raises(ValueError, match="is a sync function, which cannot be hedged"):
        pipeline(Hedge(delay=1))(lambda: 1)
