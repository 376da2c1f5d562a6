"""What is given in place of what failed."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

from corten.errors import BulkheadFull, CircuitOpen, DeadlineExceeded, RateLimited
from corten.events import CallDegraded, Events
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.policies import Bulkhead, Cache, CircuitBreaker, Fallback, RateLimit, Retry, Timeout
from corten.policies.combined.policy import Policy
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


class Broken:
    """Raises what it is told, once for each; then returns its argument."""

    def __init__(self, *errors: BaseException, late: bool = False) -> None:
        self.errors = list(errors)
        self.late = late
        self.calls = 0

    async def __call__(self, x: int = 1, *, deep: bool = False) -> object:
        self.calls += 1
        if self.late:
            await anyio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        return x, deep


async def finds_nothing(error: Exception) -> str:
    await anyio.lowlevel.checkpoint()
    return f"nothing, for {error}"


def tells(error: Exception, x: int, *, deep: bool) -> tuple[object, ...]:
    return type(error), x, deep


@pytest.mark.parametrize("late", [False, True])
async def test_a_value_takes_the_place_of_an_error(pipeline: Callable[..., Pipeline], late: bool) -> None:
    value = object()
    guard = pipeline(Fallback(value))
    guarded = guard(Broken(OSError(), KeyError(), late=late))
    assert [await guarded(), await guarded()] == [value, value]
    assert await guarded(3) == (3, False)
    seen = guard.statistics()
    assert (seen.calls, seen.successes, seen.errors, seen.degraded) == (3, 3, 0, {"fallback": 2})


async def test_what_is_awaitable_is_a_value_like_any_other(pipeline: Callable[..., Pipeline]) -> None:
    class Later:
        def __await__(self) -> Any:
            raise AssertionError("nobody asked for that")

    later = Later()
    assert await pipeline(Fallback(later))(Broken(OSError()))() is later


async def test_none_is_a_value(pipeline: Callable[..., Pipeline]) -> None:
    assert await pipeline(Fallback(None))(Broken(OSError()))() is None


@pytest.mark.parametrize("late", [False, True])
async def test_a_function_gets_the_error_and_the_arguments_if_it_wants_them(
    pipeline: Callable[..., Pipeline], late: bool
) -> None:
    broken = Broken(OSError("x"), OSError("y"), OSError("z"), late=late)

    async def work(x: int, *, deep: bool = False) -> object:
        return await broken(x, deep=deep)

    assert await pipeline(Fallback(call=finds_nothing))(work)(1) == "nothing, for x"
    assert await pipeline(Fallback(call=tells))(work)(7, deep=True) == (OSError, 7, True)
    assert await pipeline(Fallback(call="builtins:repr"))(work)(1) == "OSError('z')"


async def test_a_function_may_give_any_awaitable(pipeline: Callable[..., Pipeline]) -> None:
    class Later:
        def __await__(self) -> Any:
            yield from anyio.lowlevel.checkpoint().__await__()
            return "later"

    def call(_error: Exception) -> Awaitable[str]:
        return Later()

    assert await pipeline(Fallback(call=call))(Broken(OSError()))() == "later"


def test_plain_functions_fall_back_as_well(pipeline: Callable[..., Pipeline]) -> None:
    def parse(text: str) -> int:
        return int(text)

    assert pipeline(Fallback(-1))(parse)("x") == -1
    assert pipeline(Fallback(call=lambda error, text: f"{text}: {type(error).__name__}"))(parse)("y") == "y: ValueError"  # type: ignore[comparison-overlap]
    last = pipeline(Fallback(last_good=True))(iter([5]).__next__)
    assert [last(), last()] == [5, 5]
    assert pipeline(Fallback(0), CircuitBreaker(failures=1))(parse)("1") == 1


def test_a_plain_functions_fallback_may_fail_and_be_repeated(pipeline: Callable[..., Pipeline]) -> None:
    given = iter([OSError("no"), None])
    tried = []

    def call(_error: Exception) -> str:
        if (error := next(given)) is not None:
            raise error
        return "at last"

    def work() -> None:
        tried.append(1)
        raise ValueError("first")

    assert pipeline(Retry(initial_backoff=0), Fallback(call=call))(work)() == "at last"
    assert len(tried) == 2
    with pytest.raises(StopIteration) as caught:
        pipeline(Fallback(call=call))(work)()
    assert isinstance(caught.value.__context__, ValueError)


async def test_on_ignore_and_predicate_say_for_which_errors(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Fallback(0, on=(LookupError,), ignore=(IndexError,), predicate=lambda error: "busy" in str(error)))
    assert await guard(Broken(KeyError()))() == 0
    assert await guard(Broken(OSError("busy")))() == 0
    for error in (OSError("gone"), IndexError("busy")):
        with pytest.raises(type(error)):
            await guard(Broken(error))()


async def test_refusals_and_time_limits_are_failures_to_it(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    limited = pipeline(Fallback(0), RateLimit("1/s", burst=1))(Broken())
    assert [await limited(5), await limited(5)] == [(5, False), 0]

    guard = pipeline(Fallback(call=lambda error: type(error)), CircuitBreaker(failures=1), name="open")
    guarded = guard(Broken(OSError()))
    assert [await guarded(), await guarded()] == [OSError, CircuitOpen]

    results: list[object] = []

    async def endless() -> object:
        await anyio.sleep(float("inf"))
        return 0

    async def run() -> None:
        results.append(await pipeline(Timeout(60), Fallback(call=lambda error: error), Timeout(2))(endless)())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(5)
    assert isinstance(results[0], DeadlineExceeded)

    only = pipeline(Fallback(0, on=(RateLimited,)), Bulkhead(1))

    async def inside() -> None:
        await only(Broken())()

    with pytest.raises(BulkheadFull):
        await only(inside)()


async def test_a_time_limit_outside_ends_the_fallback_too(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    async def call(_error: Exception) -> None:
        await anyio.sleep_forever()

    ended: list[object] = []

    async def run() -> None:
        try:
            await pipeline(Timeout(5), Fallback(call=call), Timeout(1))(anyio.sleep_forever)()
        except DeadlineExceeded as error:
            ended.append((clock.now() - 1000, error.seconds))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(20)
    assert ended == [(5.0, 5.0)]


@pytest.mark.parametrize("late", [False, True])
async def test_an_error_of_the_fallback_is_raised_with_the_first_one_behind_it(
    pipeline: Callable[..., Pipeline], late: bool
) -> None:
    async def call(_error: Exception) -> None:
        if late:
            await anyio.lowlevel.checkpoint()
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise LookupError("nor that") from error

    guard = pipeline(Fallback(call=call))
    first = OSError("first")
    with pytest.raises(LookupError) as caught:
        await guard(Broken(first))()
    assert isinstance(caught.value.__context__, KeyError)
    assert caught.value.__context__.__context__ is first
    seen = guard.statistics()
    assert (seen.errors, seen.degraded) == (1, {})


async def test_a_fallback_may_raise_the_error_again(pipeline: Callable[..., Pipeline]) -> None:
    def call(error: Exception) -> None:
        raise error

    first = OSError("first")
    with pytest.raises(OSError) as caught:
        await pipeline(Fallback(call=call))(Broken(first))()
    assert caught.value is first
    assert first.__context__ is None


async def test_outer_policies_see_what_the_fallback_gave(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1), Retry(initial_backoff=0), Fallback(0), CircuitBreaker(failures=9))
    work = Broken(*[OSError() for _ in range(3)])
    assert [await guard(work)() for _ in range(3)] == [0, 0, 0]
    assert work.calls == 3, "nothing was repeated"
    assert [each.state for each in guard.statistics().breakers] == ["closed", "closed"]
    inner = pipeline(Fallback(0), Retry(3, initial_backoff=0))
    work = Broken(*[OSError() for _ in range(3)])
    assert await inner(work)() == 0
    assert work.calls == 3, "only then it was given up"


async def test_a_retry_outside_repeats_what_the_fallback_could_not_give_either(
    pipeline: Callable[..., Pipeline],
) -> None:
    tries = iter([OSError("again"), None])

    async def call(_error: Exception) -> str:
        if (error := next(tries)) is not None:
            raise error
        return "second"

    work = Broken(ValueError(), ValueError())
    assert await pipeline(Retry(initial_backoff=0), Fallback(call=call))(work)() == "second"
    assert work.calls == 2


async def test_what_one_fallback_has_not_the_next_one_outside_gives(pipeline: Callable[..., Pipeline]) -> None:
    work = Broken(OSError())
    guarded = pipeline(Fallback("default"), Fallback(last_good=True))(work)
    assert await guarded(1) == "default"
    assert await guarded(1) == (1, False)
    work.errors.append(OSError())
    assert await guarded(1) == (1, False)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("around", [(), (Timeout(5),), (Cache(ttl=1),), (Retry(2, initial_backoff=0),)])
async def test_the_last_good_result_is_given_for_the_same_arguments(
    clock: FakeClock, pipeline: Callable[..., Pipeline], late: bool, around: tuple[Policy, ...]
) -> None:
    broken = Broken(late=late)

    async def work(x: int, *, deep: bool = False) -> object:
        return await broken(x, deep=deep)

    guard = pipeline(*around, Fallback(last_good=True), Timeout(2))
    guarded = guard(work)
    assert await guarded(1) == (1, False)
    assert await guarded(1, deep=True) == (1, True)
    await clock.advance(2)
    broken.errors.extend(OSError() for _ in range(9))
    assert await guarded(1) == (1, False)
    assert await guarded(1, deep=True) == (1, True)
    only = broken.errors[0]
    with pytest.raises(OSError) as caught:
        await guarded(2)
    assert caught.value is only or around
    assert guard.statistics().degraded == {"fallback": 2}


async def test_a_last_good_result_grows_old_and_makes_room(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    broken = Broken()
    guarded = pipeline(Fallback(last_good=True, max_age=10, max_entries=2))(broken)
    for x in (1, 2, 3):
        await guarded(x)
    broken.errors.extend(OSError() for _ in range(9))
    await clock.advance(9)
    assert [await guarded(2), await guarded(3)] == [(2, False), (3, False)]
    with pytest.raises(OSError):
        await guarded(1)
    await clock.advance(2)
    with pytest.raises(OSError):
        await guarded(3)


async def test_last_good_results_stay_when_other_policies_change(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    broken = Broken()
    guard = pipeline(Fallback(last_good=True))
    guarded = guard(broken)
    await guarded(1)
    guard.configure([Retry(initial_backoff=0), Fallback(last_good=True)])
    broken.errors.extend(OSError() for _ in range(9))
    assert await guarded(1) == (1, False)
    guard.configure([Fallback(last_good=True, max_entries=7)])
    with pytest.raises(OSError):
        await guarded(1)


async def test_nothing_is_remembered_for_what_cannot_be_told_apart(
    pipeline: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []

    async def total(numbers: list[int]) -> int:
        if errors:
            raise errors.pop()
        return sum(numbers)

    guarded = pipeline(Fallback(last_good=True))(total)
    with caplog.at_level(logging.WARNING, "corten.pipeline"):
        assert [await guarded([1, 2]), await guarded([3])] == [3, 3]
    assert len(caplog.records) == 1
    assert "its last good result is not remembered" in caplog.text
    errors.append(OSError())
    with pytest.raises(OSError):
        await guarded([1, 2])


async def test_cancellation_is_never_caught(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1), Fallback(0))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(guard(anyio.sleep_forever))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert guard.statistics().cancelled == 1
    assert guard.statistics().bulkheads[0].running == 0


@pytest.mark.parametrize("within", [(), (Timeout(9),)])
async def test_cancelled_at_any_await_nothing_stays_held(
    pipeline: Callable[..., Pipeline], within: tuple[Policy, ...]
) -> None:
    async def call(_error: Exception, _x: int) -> int:
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        return 1

    guard = pipeline(Bulkhead(1), Timeout(9), Fallback(call=call), *within, Bulkhead(1))

    async def operation() -> None:
        broken = Broken(OSError(), late=True)

        async def work(x: int) -> object:
            return await broken(x)

        assert await guard(work)(1) == 1

    def check() -> None:
        assert [each.running for each in guard.statistics().bulkheads] == [0, 0]

    assert await cancel_at_each_await(operation, check) >= 2


async def test_it_is_told_as_a_degraded_call(clock: FakeClock) -> None:
    events = Events()
    told: list[CallDegraded] = []
    events.subscribe(told.append, CallDegraded)
    guard = Pipeline("rates", Fallback(0), RateLimit("1/s", burst=1))
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), events=events)
    guarded = guard(Broken(OSError("away")))
    assert [await guarded(), await guarded()] == [0, 0]
    assert [(each.pipeline, each.policy) for each in told] == [("rates", "fallback")] * 2
    assert told[0].error == "OSError: away"
    assert told[1].error.startswith("RateLimited: ")


async def test_the_users_traceback_is_whole_where_nothing_can_be_given(pipeline: Callable[..., Pipeline]) -> None:
    async def inner() -> None:
        raise OSError("deep")

    async def outer() -> None:
        await inner()

    with pytest.raises(OSError) as caught:
        await pipeline(Retry(1), Fallback(last_good=True))(outer)()
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-2:] == ["outer", "inner"]
    assert len(frames) <= 5


async def test_the_callers_context_is_the_fallbacks(pipeline: Callable[..., Pipeline]) -> None:
    from contextvars import ContextVar

    request: ContextVar[str] = ContextVar("request")
    request.set("r1")
    assert await pipeline(Fallback(call=lambda _: request.get()))(Broken(OSError()))() == "r1"


def test_threads_fall_back_each_for_itself(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Fallback(call=lambda _error, x: -x), Bulkhead(100))

    @guard
    def work(x: int) -> int:
        if x % 2:
            raise OSError
        return x

    results: list[bool] = []

    def run(begin: int) -> None:
        results.extend(work(x) == (-x if x % 2 else x) for x in range(begin, begin + 500))

    threads = [threading.Thread(target=run, args=(begin,)) for begin in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 2000
    assert guard.statistics().degraded == {"fallback": 1000}


def test_it_comes_from_settings() -> None:
    decoded = msgspec.convert({"policy": "fallback", "last_good": True, "max_age": 60}, Fallback)
    assert decoded == Fallback(last_good=True, max_age=60)
    assert msgspec.convert({"policy": "fallback", "value": [1]}, Fallback).value == [1]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "none of them is set; expected one of value, call and last_good"),
        ({"value": 1, "last_good": True}, "value and last_good are set; expected one of value, call and last_good"),
        ({"value": None, "call": repr}, "value and call are set"),
        ({"call": 3}, "call is 3, which can't be called"),
        ({"call": "nowhere"}, "it has no colon"),
        ({"last_good": True, "max_age": 0}, "max_age is 0"),
        ({"last_good": True, "max_entries": 0}, "max_entries is 0"),
        ({"value": 1, "max_age": 5}, "set last_good as well"),
        ({"value": 1, "on": ("no.such.Error",)}, "no exception"),
        ({"value": 1, "predicate": 1}, "predicate is 1"),
    ],
)
def test_impossible_policies_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fallback(**wrong)


def test_a_function_that_cannot_take_the_arguments_is_refused_at_decoration(
    pipeline: Callable[..., Pipeline],
) -> None:
    def work(x: int, y: int) -> int:
        return x + y

    with pytest.raises(ValueError, match="must take the error alone, or the same arguments after it"):
        pipeline(Fallback(call=lambda error, x: x))(work)
    with pytest.raises(ValueError, match="is async, and .*work is a sync function"):
        pipeline(Fallback(call=finds_nothing))(work)


@pytest.mark.parametrize("late", [False, True])
async def test_what_a_predicate_raises_is_raised(pipeline: Callable[..., Pipeline], late: bool) -> None:
    def broken(_: Exception) -> bool:
        raise LookupError("broken")

    guard = pipeline(Bulkhead(1), Fallback(0, predicate=broken))
    with pytest.raises(LookupError, match="broken") as caught:
        await guard(Broken(OSError(), late=late))()
    assert isinstance(caught.value.__context__, OSError)
    assert guard.statistics().bulkheads[0].running == 0


class Unbound:
    """What a proxy is whose object is not there: whatever it is asked, it raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("there is no object behind the proxy")


@pytest.mark.parametrize("late", [False, True])
async def test_a_proxy_given_in_its_place_is_not_asked_what_it_is(
    pipeline: Callable[..., Pipeline], late: bool
) -> None:
    proxy = Unbound()
    guard = pipeline(Bulkhead(1), Fallback(call=lambda error: proxy))
    assert await guard(Broken(OSError(), late=late))() is proxy
    assert (guard.statistics().bulkheads[0].running, guard.statistics().successes) == (0, 1)
