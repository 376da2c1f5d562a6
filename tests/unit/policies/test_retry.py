"""What is repeated, how often, and after which backoffs."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from corten.app import App
from corten.errors import BulkheadFull, MessageError, RateLimited, ResourceUnavailable
from corten.pipeline import Pipeline
from corten.policies import (
    Bulkhead,
    CircuitBreaker,
    Fallback,
    Hedge,
    RateLimit,
    Retry,
    RetryBudget,
    RetryBudgetStatistics,
    Timeout,
    not_idempotent,
)
from corten.testing import FakeClock, cancel_at_each_await

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
    guarded = pipeline(Retry(max_attempts=4, initial_backoff=1, backoff_multiplier=3, max_backoff=5, jitter=0))(work)
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
        await pipeline(Retry(initial_backoff=0))(work)()
    assert len(work.times) == 1


async def test_types_can_be_named(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Retry(initial_backoff=0, on=(LookupError, "builtins.ArithmeticError"), ignore=(IndexError,)))
    assert await guard(Failing(clock, KeyError(), ZeroDivisionError()))() == 3
    with pytest.raises(OSError):
        await guard(Failing(clock, OSError()))()
    with pytest.raises(IndexError):
        await guard(Failing(clock, IndexError()))()


async def test_the_last_error_is_raised_when_attempts_are_used_up(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(Retry(max_attempts=2, initial_backoff=0))
    with pytest.raises(OSError, match="second"):
        await guard(Failing(clock, OSError("first"), OSError("second"), OSError("third")))()
    assert (guard.statistics().errors, guard.statistics().retries) == (1, 1)


async def test_cancellation_is_never_repeated(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    calls = []

    @pipeline(Retry(max_attempts=5, initial_backoff=0))
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
    guard = pipeline(CircuitBreaker(), Bulkhead(1), Retry(initial_backoff=5, jitter=0))
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
    guarded = pipeline(Retry(max_attempts=2, initial_backoff=0, max_backoff=10), RateLimit("0.5/s", burst=1))(work)
    async with anyio.create_task_group() as group:
        group.start_soon(guarded)
        group.start_soon(guarded)
        await clock.advance(5)
    assert work.times == [0, 2]


async def test_a_refusal_that_asks_for_too_much_patience_is_raised(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guarded = pipeline(Retry(max_backoff=1), RateLimit("0.5/s", burst=1))(Failing(clock))
    await guarded()
    with pytest.raises(RateLimited):
        await guarded()


async def test_a_refusal_of_another_pipeline_follows_the_same_rule(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    inner = pipeline(RateLimit("0.5/s", burst=1), name="inner")(Failing(clock))
    patient = pipeline(
        Retry(max_attempts=2, initial_backoff=0, max_backoff=10), CircuitBreaker(failures=1), name="outer"
    )(inner)
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
    guard = pipeline(RateLimit("1/s", burst=1), Retry(max_attempts=3, initial_backoff=0), CircuitBreaker(failures=3))
    with pytest.raises(OSError):
        await guard(Failing(clock, OSError(), OSError(), OSError()))()
    assert guard.statistics().breakers[0].state == "open"


async def test_no_attempt_begins_after_max_time(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    work = Failing(clock, *[OSError() for _ in range(9)])
    guarded = pipeline(Retry(max_attempts=9, initial_backoff=2, backoff_multiplier=1, jitter=0, max_time=5))(work)

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
        await pipeline(Timeout(5), Retry(initial_backoff=10, jitter=0))(work)()


async def run_through(clock: FakeClock, work: Callable[[], Any], seconds: float = 600) -> list[Any]:
    """What the call gave or raised, in time that the clock makes up."""
    ended: list[Any] = []

    async def run() -> None:
        try:
            ended.append(await work())
        except Exception as error:
            ended.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(seconds)
    return ended


async def test_waits_can_be_listed_and_the_last_one_goes_on(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    work = Failing(clock, *[OSError() for _ in range(9)])
    await run_through(clock, pipeline(Retry(backoffs=(0.5, 1, 20), max_backoff=10))(work))
    assert work.times == [0, 0.5, 1.5, 11.5]
    work = Failing(clock, *[OSError() for _ in range(9)])
    begun = clock.now() - 1000
    await run_through(clock, pipeline(Retry(5, backoffs=(1, 2)))(work))
    assert [time - begun for time in work.times] == [0, 1, 3, 5, 7]


async def test_decorrelated_waits_lie_between_the_first_and_three_times_the_one_before(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    work = Failing(clock, *[OSError() for _ in range(99)])
    await run_through(clock, pipeline(Retry(20, initial_backoff=0.5, jitter="decorrelated", max_backoff=4))(work))
    waits = [after - before for before, after in zip(work.times, work.times[1:], strict=False)]
    assert len(waits) == 19
    last = 0.5
    for wait in waits:
        assert wait + 1e-6 >= 0.5
        assert wait <= min(4.0, 3 * last) + 1e-6
        last = wait


@pytest.mark.parametrize("late", [False, True])
async def test_a_result_that_is_not_wanted_is_asked_for_again_and_returned_at_last(
    clock: FakeClock, pipeline: Callable[..., Pipeline], late: bool
) -> None:
    work = Failing(clock, late=late)
    guard = pipeline(CircuitBreaker(failures=1), Retry(3, initial_backoff=1, jitter=0, on_result=lambda each: each < 2))
    assert await run_through(clock, guard(work)) == [2]
    assert work.times == [0, 1]
    never = pipeline(CircuitBreaker(failures=1), Retry(3, initial_backoff=0, on_result=lambda _: True), name="never")
    assert await never(Failing(clock, late=late))() == 3
    assert never.statistics().successes == 1
    assert never.statistics().breakers[0].state == "closed"


def test_results_of_plain_functions_are_asked_as_well(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    made = iter([None, None, 7])
    guarded = pipeline(Retry(3, initial_backoff=1, on_result=lambda each: each is None))(lambda: next(made))
    assert guarded() == 7


async def test_a_predicate_says_what_is_repeated(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(
        Retry(5, initial_backoff=0, predicate=lambda error: "busy" in str(error), on=(KeyError,), ignore=(IndexError,))
    )
    assert await guard(Failing(clock, ValueError("busy"), KeyError("x")))() == 3
    for error in (OSError("away"), IndexError("busy")):
        with pytest.raises(type(error)):
            await guard(Failing(clock, error))()


async def test_functions_of_policies_can_be_named(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Retry(initial_backoff=0, on_result="operator:not_", predicate="builtins:bool"))
    made = iter([0, 0, 5])

    async def work() -> int:
        return next(made)

    assert await guard(work)() == 5
    assert await guard(Failing(clock, ValueError()))() == 2


@pytest.mark.parametrize("late", [False, True])
async def test_what_a_policys_function_raises_is_raised_and_nothing_stays_held(
    clock: FakeClock, pipeline: Callable[..., Pipeline], late: bool
) -> None:
    def broken(_: object) -> bool:
        raise LookupError("broken")

    on_result = pipeline(Bulkhead(1), Retry(initial_backoff=0, on_result=broken))
    with pytest.raises(LookupError, match="broken"):
        await on_result(Failing(clock, late=late))()
    predicate = pipeline(Bulkhead(1), Retry(initial_backoff=0, predicate=broken), name="predicate")
    with pytest.raises(LookupError, match="broken") as caught:
        await predicate(Failing(clock, OSError("the cause"), late=late))()
    assert isinstance(caught.value.__context__, OSError)
    for guard in (on_result, predicate):
        assert guard.statistics().bulkheads[0].running == 0
        assert guard.statistics().errors == 1


async def test_a_predicate_judges_refusals_and_time_limits_too(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    stubborn = pipeline(Retry(max_backoff=10, predicate=lambda error: isinstance(error, KeyError)), RateLimit("1/s"))
    guarded = stubborn(Failing(clock))
    await guarded()
    with pytest.raises(RateLimited):
        await guarded()
    named = pipeline(Retry(max_backoff=10, ignore=(RateLimited,)), RateLimit("1/s"), name="named")
    guarded = named(Failing(clock))
    await guarded()
    with pytest.raises(RateLimited):
        await guarded()
    expecting = pipeline(
        Retry(initial_backoff=0, predicate=lambda error: error.code == 503), RateLimit("1/s"), name="expecting"
    )
    guarded = expecting(Failing(clock))
    await guarded()
    with pytest.raises(RateLimited):
        await guarded()


async def test_on_may_name_a_refusal_that_says_no_time(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Retry(2, backoffs=(1,), on=(BulkheadFull,)), Bulkhead(1))

    @guard
    async def slow() -> None:
        await clock.sleep(0.5)

    async with anyio.create_task_group() as group:
        group.start_soon(slow)
        group.start_soon(slow)
        await clock.advance(3)
    assert guard.statistics().successes == 2


class NeverAgain(OSError):
    retryable = False


async def test_an_error_marked_not_retryable_is_never_repeated(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    with pytest.raises(NeverAgain):
        await pipeline(Retry(initial_backoff=0, on=(OSError,), predicate=lambda _: True))(
            Failing(clock, NeverAgain())
        )()


async def test_a_function_marked_not_idempotent_is_repeated_only_if_it_was_refused(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(Retry(3, initial_backoff=0, max_backoff=10, on_result=lambda _: True), RateLimit("0.5/s", burst=1))
    made: list[float] = []

    @guard
    @not_idempotent
    async def pay() -> None:
        made.append(clock.now() - 1000)
        raise OSError

    @guard
    @not_idempotent
    async def count() -> int:
        made.append(clock.now() - 1000)
        return len(made)

    first = await run_through(clock, pay, 1)
    assert isinstance(first[0], OSError)
    assert made == [0]
    assert await run_through(clock, count, 5) == [2], "waited for its token, and a result is a result"
    assert made == [0, 2]
    with pytest.raises(TypeError, match="guarded by a pipeline already"):
        not_idempotent(pay)
    with pytest.raises(TypeError, match="takes no attributes"):
        not_idempotent(len)


@pytest.mark.parametrize("late", [False, True])
async def test_the_error_of_several_attempts_says_how_many_there_were(
    clock: FakeClock, pipeline: Callable[..., Pipeline], late: bool
) -> None:
    only = OSError("away")
    guarded = pipeline(Retry(3, backoffs=(1, 2)), name="rates")(Failing(clock, *[only] * 9, late=late))
    for _ in range(2):
        assert await run_through(clock, guarded) == [only]
        assert only.__notes__ == ["pipeline 'rates': given up after 3 attempts in 3.000 s"]
    once = OSError()
    with pytest.raises(OSError):
        await pipeline(Retry(1))(Failing(clock, once))()
    assert not hasattr(once, "__notes__")


async def test_a_budget_ends_retries_and_is_told_in_the_note(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(Retry(3, initial_backoff=0, budget=RetryBudget(ratio=0.5, min_per_second=1, burst=3)))
    errors = []
    for _ in range(4):
        work = Failing(clock, OSError(), OSError(), OSError())
        with pytest.raises(OSError) as caught:
            await guard(work)()
        errors.append((len(work.times), *getattr(caught.value, "__notes__", ["-"])))
    assert [attempts for attempts, _ in errors] == [3, 2, 2, 1]
    assert errors[1][1].endswith("given up after 2 attempts in 0.000 s, as the retry budget is spent")
    assert errors[3][1] == "pipeline 'p': not repeated, as the retry budget is spent"
    assert guard.statistics().retries == 4
    assert guard.statistics().retry_budget == RetryBudgetStatistics(balance=1.0, granted=4, refused=3)
    await clock.advance(60)
    seen = guard.statistics().retry_budget
    assert seen is not None
    assert seen.balance == 3, "no more is saved up"


async def test_a_budget_is_one_for_all_retries_of_a_pipeline_and_keeps_what_is_left(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    budget = RetryBudget(ratio=0, min_per_second=0, burst=2)
    guard = pipeline(Retry(2, initial_backoff=0, budget=budget), Retry(2, initial_backoff=0))
    work = Failing(clock, *[OSError() for _ in range(9)])
    with pytest.raises(OSError):
        await guard(work)()
    assert len(work.times) == 3
    guard.configure([Retry(9, initial_backoff=0, budget=budget)])
    work = Failing(clock, OSError())
    with pytest.raises(OSError):
        await guard(work)()
    assert len(work.times) == 1
    with pytest.raises(ValueError, match="different retry budgets"):
        pipeline(Retry(budget=budget), Retry(budget=RetryBudget()))


async def test_cancelled_at_any_await_nothing_stays_held(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(
        Bulkhead(1), Retry(3, initial_backoff=0, on_result=lambda each: each < 3), CircuitBreaker(), Bulkhead(1)
    )

    async def operation() -> None:
        await guard(Failing(clock, OSError(), late=True))()

    def check() -> None:
        assert [each.running for each in guard.statistics().bulkheads] == [0, 0]

    assert await cancel_at_each_await(operation, check) > 2


async def test_the_users_traceback_is_whole_after_several_attempts(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    async def inner() -> None:
        raise OSError("deep")

    async def outer() -> None:
        await inner()

    with pytest.raises(OSError) as caught:
        await pipeline(Retry(3, initial_backoff=0))(outer)()
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-2:] == ["outer", "inner"]
    assert len(frames) <= 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"max_attempts": 0}, "max_attempts is 0; it must be a whole number from 1 to"),
        ({"max_attempts": 2**32}, "max_attempts is 4294967296"),
        ({"max_attempts": 2.5}, "max_attempts is 2.5; it must be a whole number"),
        ({"initial_backoff": -1}, "initial_backoff is -1"),
        ({"backoff_multiplier": 0.5}, "backoff_multiplier is 0.5"),
        ({"jitter": 2}, "jitter is 2; it must be a number from 0 to 1"),
        ({"max_backoff": float("nan")}, "max_backoff is nan"),
        ({"on": ("no.such.Error",)}, "no exception 'no.such.Error'"),
        ({"on": (KeyboardInterrupt,)}, "not a subclass of Exception"),
        ({"jitter": "full"}, "jitter is 'full'; it must be a number from 0 to 1 or 'decorrelated'"),
        ({"jitter": "decorrelated", "backoffs": (1,)}, "leave backoffs out"),
        ({"backoffs": (1, -1)}, r"backoffs\[1\] is -1"),
        ({"backoffs": (float("inf"),)}, r"backoffs\[0\] is inf"),
        ({"on_result": 7}, "on_result is 7, which can't be called"),
        ({"predicate": "no.such:thing"}, "predicate is 'no.such:thing', which can't be found"),
        ({"budget": 0.2}, "it must be a RetryBudget"),
    ],
)
def test_impossible_policies_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Retry(**wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ratio": -0.1}, "ratio is -0.1"),
        ({"ratio": float("inf")}, "ratio is inf"),
        ({"min_per_second": -1}, "min_per_second is -1"),
        ({"burst": 0}, "burst is 0; it must be a whole number from 1"),
    ],
)
def test_impossible_budgets_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RetryBudget(**wrong)


async def test_all_of_it_can_be_said_in_settings() -> None:
    pipeline = Pipeline("rates")
    app = App(
        "test",
        arguments={
            "pipelines.rates.policies": [
                {"policy": "fallback", "value": [1, 2]},
                {"policy": "fallback", "last_good": True, "max_age": "1h"},
                {
                    "policy": "retry",
                    "backoffs": ["100ms", "2s"],
                    "on_result": "operator:not_",
                    "predicate": "builtins:bool",
                    "budget": {"ratio": 0.1, "burst": 7},
                },
                {"policy": "retry", "jitter": "decorrelated"},
                {"policy": "hedge", "delay": "200ms", "quantile": 0.99},
            ]
        },
        config=None,
        autoload=False,
    )
    app.add(pipeline)
    async with app:
        assert pipeline.policies == (
            Fallback([1, 2]),
            Fallback(last_good=True, max_age=3600.0),
            Retry(
                3,
                backoffs=(0.1, 2.0),
                on_result="operator:not_",
                predicate="builtins:bool",
                budget=RetryBudget(0.1, burst=7),
            ),
            Retry(jitter="decorrelated"),
            Hedge(delay=0.2, quantile=0.99),
        )
