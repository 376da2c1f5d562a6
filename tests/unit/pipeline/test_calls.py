"""What a guarded function is from outside, and what becomes of its calls."""

from __future__ import annotations

import contextvars
import gc
import inspect
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, TypeVar

import anyio
import pytest
from typing_extensions import TypeAliasType

from corten.errors import CircuitOpen, CortenError, DeadlineExceeded, RateLimited
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.plugins import CallDetails, Observer
from corten.policies import Bulkhead, Cache, CircuitBreaker, Fallback, RateLimit, Retry, Timeout
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio

EVERYTHING = (
    RateLimit("1000/s", burst=1000),
    CircuitBreaker(),
    Bulkhead(10),
    Timeout(2.0),
    Retry(initial_backoff=0, jitter=0),
)


async def load(user: int, /, kind: str = "plain", *more: int, deep: bool = False, **rest: int) -> tuple[Any, ...]:
    """Load a user."""
    return user, kind, more, deep, rest


@pytest.mark.parametrize("policies", [EVERYTHING, (Cache(), *EVERYTHING)])
async def test_arguments_of_every_kind_arrive(pipeline: Callable[..., Pipeline], policies: tuple[Any, ...]) -> None:
    guarded = pipeline(*policies)(load)
    assert await guarded(1) == (1, "plain", (), False, {})
    assert await guarded(2, "k", 3, 4, deep=True, other=5) == (2, "k", (3, 4), True, {"other": 5})
    assert await guarded(1) == (1, "plain", (), False, {})


async def test_it_looks_like_the_function_it_guards(pipeline: Callable[..., Pipeline]) -> None:
    guarded = pipeline(*EVERYTHING)(load)
    assert inspect.iscoroutinefunction(guarded)
    assert inspect.signature(guarded) == inspect.signature(load)
    assert guarded.__name__ == "load"
    assert guarded.__qualname__ == load.__qualname__
    assert guarded.__module__ == __name__
    assert guarded.__doc__ == "Load a user."
    assert inspect.unwrap(guarded) is load
    assert set(vars(guarded)) == {"__wrapped__", "__signature__"}
    with pytest.raises(TypeError, match="load"):
        await guarded()  # type: ignore[call-arg]


def test_the_type_parameters_of_a_generic_function_stay(pipeline: Callable[..., Pipeline]) -> None:
    async def first(each: object) -> object:
        return each

    parameters = (TypeVar("T"),)
    first.__type_params__ = parameters  # type: ignore[attr-defined]  # as `async def first[T]` does since Python 3.12
    assert pipeline(*EVERYTHING)(first).__type_params__ == parameters


async def test_a_function_may_say_by_an_alias_that_it_gives_something_to_await(
    pipeline: Callable[..., Pipeline],
) -> None:
    def later(each: int) -> object:
        return doubled(each)

    async def doubled(each: int) -> int:
        return 2 * each

    later.__annotations__["return"] = TypeAliasType("Later", Awaitable[int])
    assert await pipeline(*EVERYTHING)(later)(4) == 8


async def test_parameters_may_be_called_what_the_wrapper_uses_itself(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(*EVERYTHING)
    async def named(type: int, _corten_run: int, function: int) -> int:  # noqa: A002
        return type + _corten_run + function

    assert await named(1, _corten_run=2, function=3) == 6


async def test_methods_are_guarded_like_functions(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache(), CircuitBreaker())

    class Users:
        calls = 0

        @guard
        async def load(self, user: int) -> int:
            Users.calls += 1
            return user * 2

    assert await Users().load(4) == await Users().load(4) == 8
    assert Users.calls == 1, "self is no part of the key"


async def test_a_function_that_returns_an_awaitable_is_called_after_admission(
    pipeline: Callable[..., Pipeline],
) -> None:
    called = []
    limited = pipeline(RateLimit("1/s", burst=1))

    async def work(x: int) -> int:
        await anyio.lowlevel.checkpoint()
        return x

    @limited
    def start(x: int) -> Awaitable[int]:
        called.append(x)
        return work(x)

    assert inspect.iscoroutinefunction(start)
    assert await start(1) == 1
    with pytest.raises(RateLimited):
        await start(2)
    assert called == [1]


async def test_partials_and_callable_objects(pipeline: Callable[..., Pipeline]) -> None:
    class Double:
        async def __call__(self, x: int) -> int:
            return 2 * x

    guard = pipeline(*EVERYTHING)
    assert await guard(Double())(4) == 8
    assert await guard(partial(load, 1, deep=True))() == (1, "plain", (), True, {})


async def test_a_refused_call_leaves_no_coroutine_behind(pipeline: Callable[..., Pipeline]) -> None:
    guarded = pipeline(RateLimit("1/s", burst=1))(load)
    await guarded(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RateLimited) as caught:
            await guarded(1)
        gc.collect()
    assert (caught.value.pipeline, caught.value.policy, caught.value.retry_after) == ("p", "rate_limit", 1.0)
    assert len(traceback.extract_tb(caught.value.__traceback__)) == 2


async def test_tracebacks_keep_the_users_frames_and_at_most_two_of_ours(pipeline: Callable[..., Pipeline]) -> None:
    async def deep() -> None:
        raise OSError("no")

    async def plain() -> None:
        await deep()

    async def suspended() -> None:
        await anyio.lowlevel.checkpoint()
        await deep()

    names = []
    for policies in [(CircuitBreaker(),), (Retry(initial_backoff=0),), (Cache(),), (Cache(), Retry(initial_backoff=0))]:
        for function in (plain, suspended):
            with pytest.raises(OSError, match="no") as caught:
                await pipeline(*policies)(function)()
            names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][1:]
            assert names[-2:] == [function.__name__, "deep"]
            assert len(names) <= 4, names
    assert "suspended" in names[0], "ours is named like the function"


async def test_the_text_of_the_wrapper_shows_in_tracebacks(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(CircuitBreaker(), name="shop")
    async def buy() -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:
        await buy()
    text = "".join(traceback.format_tb(caught.value.__traceback__))
    assert "<corten pipeline shop: " in text
    assert "_corten_run(_corten_function())" in text


async def test_context_variables_are_the_callers(pipeline: Callable[..., Pipeline]) -> None:
    variable = contextvars.ContextVar("variable", default=0)

    @pipeline(*EVERYTHING)
    async def add() -> None:
        variable.set(variable.get() + 1)
        await anyio.lowlevel.checkpoint()
        variable.set(variable.get() + 1)

    variable.set(1)
    await add()
    assert variable.get() == 3


async def test_stop_iteration_from_user_code_stays_an_error(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(CircuitBreaker())
    async def stop(*, late: bool) -> None:
        if late:
            await anyio.lowlevel.checkpoint()
        raise StopIteration(7)

    for late in (False, True):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await stop(late=late)


async def test_results_that_look_like_control_flow_come_out_as_they_are(pipeline: Callable[..., Pipeline]) -> None:
    results: list[Any] = [None, (), (1, 2), ValueError("a value"), StopIteration(3)]

    @pipeline(Retry(), Timeout(1))
    async def give(index: int, *, late: bool) -> Any:
        if late:
            await anyio.lowlevel.checkpoint()
        return results[index]

    for index, result in enumerate(results):
        assert await give(index, late=False) is result
        assert await give(index, late=True) is result


async def test_calls_without_decoration(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1))
    assert await guard.call(load, 5, deep=True) == (5, "plain", (), True, {})

    def returns_one(x: int) -> Awaitable[Any]:
        return load(x)

    assert (await guard.call(returns_one, 6))[0] == 6

    async def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await guard.call(fail)
    with pytest.raises(CircuitOpen):
        await guard.call(load, 1)
    assert guard.statistics().calls == 4


async def test_before_settings_came_a_call_is_refused_in_words(clock: FakeClock) -> None:
    users = Pipeline("users", clock=clock)
    guarded = users(load)
    with pytest.raises(CortenError, match="pipeline 'users' has no policies yet"):
        await guarded(1)
    users.configure([Cache(ttl=10)])
    assert await guarded(1) == await guarded(1)
    assert users.statistics().hits == 1
    users.configure([])
    assert await guarded(1) == (1, "plain", (), False, {})


async def test_new_policies_keep_the_state_of_those_that_stay(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=3), RateLimit("1/s", burst=5))

    @guard
    async def fail() -> None:
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            await fail()
    guard.configure([RateLimit("1/s", burst=5), CircuitBreaker(failures=3, open_for=9)])
    with pytest.raises(ValueError):
        await fail()
    with pytest.raises(CircuitOpen) as caught:
        await fail()
    assert caught.value.retry_after == 9


async def test_wrong_policies_change_nothing(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache())
    guarded = guard(load)
    with pytest.raises(ValueError, match="counts by 'tenant', which is no parameter of load"):
        guard.configure([RateLimit("1/s", key="tenant")])
    assert guard.policies == (Cache(),)
    await guarded(1)


async def test_too_many_policies_leave_those_that_are_there_as_they_were(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(RateLimit("1/s", burst=1), Bulkhead(3))
    guarded = guard(load)
    with pytest.raises(ValueError, match="too long"):
        guard.configure([RateLimit("1/s", burst=100), Bulkhead(7), *[Retry()] * 9])
    await guarded(1)
    with pytest.raises(RateLimited):
        await guarded(1)
    assert guard.statistics().bulkheads[0].max_concurrent == 3


async def test_a_keyed_limit_counts_each_key(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(CircuitBreaker(), RateLimit("1/s", burst=1, key="tenant"))
    async def work(x: int, tenant: str) -> int:
        return x

    assert await work(1, "a") == await work(1, tenant="b") == 1
    with pytest.raises(RateLimited):
        await work(2, "a")


async def test_statistics_and_metrics_agree(pipeline: Callable[..., Pipeline], registry: Any) -> None:
    guard = pipeline(Cache(), Retry(max_attempts=2, initial_backoff=0), RateLimit("1/s", burst=4))

    @guard
    async def work(x: int) -> int:
        if x < 0:
            raise OSError
        return x

    assert await work(1) + await work(1) == 2
    with pytest.raises(OSError):
        await work(-1)
    assert await work(2) == 2
    with pytest.raises(RateLimited):
        guard.configure([Cache(), RateLimit("1/s", burst=4)])
        await work(3)
    seen = guard.statistics()
    assert (seen.successes, seen.errors, seen.hits, seen.retries) == (2, 1, 1, 1)
    assert seen.refused == {"rate_limit": 1}
    assert seen.calls == 5
    text = registry.render()
    for line in (
        'corten_pipeline_calls_total{outcome="success",pipeline="p"} 2',
        'corten_pipeline_calls_total{outcome="error",pipeline="p"} 1',
        'corten_pipeline_calls_total{outcome="hit",pipeline="p"} 1',
        'corten_pipeline_calls_total{outcome="refused",pipeline="p"} 1',
        'corten_pipeline_duration_seconds_count{pipeline="p"} 4',
    ):
        assert line in text, text


def test_two_apps_cannot_have_one_pipeline(pipeline: Callable[..., Pipeline], clock: FakeClock, registry: Any) -> None:
    guard = pipeline(Retry())
    runtime_of(guard).bind(owner=object(), clock=clock, registry=registry)
    with pytest.raises(CortenError, match="belongs to another App"):
        runtime_of(guard).bind(owner=object(), clock=clock, registry=registry)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # nobody else can drive a coroutine of trio's
async def test_a_coroutine_that_is_closed_or_dropped_gives_its_place_back(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(), Bulkhead(1), Timeout(1))

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    def places() -> int:
        return guard.statistics().bulkheads[0].running

    coroutine = forever()
    coroutine.send(None)
    assert places() == 1
    coroutine.close()
    assert places() == 0
    coroutine = forever()
    coroutine.send(None)
    assert places() == 1
    del coroutine
    gc.collect()
    assert places() == 0
    assert guard.statistics().cancelled == 2


async def test_observers_surround_calls_but_not_hits(clock: FakeClock) -> None:
    seen: list[str] = []

    @contextmanager
    def observe(details: CallDetails) -> Iterator[None]:
        seen.append(f"begin {details.pipeline}")
        try:
            yield
        finally:
            seen.append("end")

    guard = Pipeline("shop", Cache(), Retry(initial_backoff=0), clock=clock, registry=Registry())
    guarded = guard(load)
    assert (await guarded(1))[0] == 1
    assert seen == []
    observers = [Observer("one", call=observe), Observer("two", call=observe), Observer("none")]
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), observers=observers)
    assert (await guarded(2))[0] == (await guarded(2))[0] == 2
    assert seen == ["begin shop", "begin shop", "end", "end"]
    await guarded(1)
    assert len(seen) == 4


async def test_policies_can_change_while_calls_run(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1), Retry(initial_backoff=0))
    gate = anyio.Event()

    @guard
    async def wait() -> int:
        await gate.wait()
        return 1

    results = []

    async def run() -> None:
        results.append(await wait())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        guard.configure([Bulkhead(2), Cache()])
        assert guard.statistics().bulkheads[0].running == 1
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        assert guard.statistics().bulkheads[0].running == 2
        gate.set()
    assert results == [1, 1]
    assert guard.statistics().bulkheads[0].running == 0


async def test_a_plain_function_that_would_wait_says_so_on_the_loops_thread(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(RateLimit("1/s", burst=1, max_wait=5))
    def compute() -> int:
        return 1

    assert compute() == 1
    with pytest.raises(CortenError, match="would make this sync function wait in the thread of an event loop"):
        compute()


def test_a_plain_function_waits_in_a_thread(pipeline: Callable[..., Pipeline], clock: FakeClock) -> None:
    times = []

    @pipeline(
        Retry(max_attempts=3, initial_backoff=1, jitter=0), RateLimit("1/s", burst=1, max_wait=5), CircuitBreaker()
    )
    def compute() -> int:
        times.append(clock.now() - 1000)
        if len(times) < 3:
            raise OSError
        return len(times)

    assert compute() == 3
    assert times == [0, 1, 3]


async def test_a_plain_function_must_say_that_it_returns_an_awaitable(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(CircuitBreaker())
    def start():  # type: ignore[no-untyped-def]
        return load(1)

    with pytest.raises(TypeError, match="start returned an awaitable without saying so"):
        start()  # type: ignore[no-untyped-call]


def test_a_pipeline_forgets_functions_that_are_gone(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache(), Retry())

    def make() -> weakref.ref[Any]:
        @guard
        async def work() -> None: ...

        return weakref.ref(work)

    gone = make()
    gc.collect()
    assert gone() is None


async def test_a_plain_decorator_around_an_async_function_is_awaited(pipeline: Callable[..., Pipeline]) -> None:
    @pipeline(CircuitBreaker())
    @wraps(load)
    def traced(*args: Any, **kwargs: Any) -> Any:
        return load(*args, **kwargs)

    assert (await traced(3))[0] == 3


class Incomplete(RateLimited):
    """A user's refusal that says nothing of ours."""

    def __init__(self) -> None:
        Exception.__init__(self, "full")


class Late(DeadlineExceeded):
    def __init__(self) -> None:
        Exception.__init__(self, "late")


@pytest.mark.parametrize("error", [Incomplete, Late])
async def test_errors_derived_from_ours_need_none_of_their_attributes(
    pipeline: Callable[..., Pipeline], error: type[Exception]
) -> None:
    guard = pipeline(Retry(max_attempts=1), Bulkhead(1))

    @guard
    async def work() -> None:
        raise error

    with pytest.raises(error):
        await work()
    assert guard.statistics().errors == 1
    assert guard.statistics().bulkheads[0].running == 0


async def test_an_error_that_cannot_be_asked_shows_behind_what_that_raised(pipeline: Callable[..., Pipeline]) -> None:
    class Odd(Exception):
        @property
        def retryable(self) -> bool:
            raise ValueError("not to be asked")

    guard = pipeline(Retry(), Bulkhead(1))

    @guard
    async def work() -> None:
        raise Odd

    with pytest.raises(ValueError, match="not to be asked") as caught:
        await work()
    assert isinstance(caught.value.__context__, Odd)
    assert guard.statistics().bulkheads[0].running == 0


async def test_callables_that_are_not_hashable_can_be_called(pipeline: Callable[..., Pipeline]) -> None:
    class Equal:
        __hash__ = None  # type: ignore[assignment]

        def __init__(self, number: int) -> None:
            self.number, self.calls = number, 0

        def __eq__(self, other: object) -> bool:
            return True

        async def __call__(self, by: int) -> int:
            self.calls += 1
            return self.number * by

    guard, two, three = pipeline(Cache()), Equal(2), Equal(3)
    assert [await guard.call(each, 5) for each in (two, three, two, three)] == [10, 15, 10, 15]
    assert (two.calls, three.calls) == (1, 1)


def test_a_plain_function_may_wait_for_its_place_beyond_all_time() -> None:
    guard = Pipeline("p", Bulkhead(1, max_waiting=1, max_wait=1e12), registry=Registry())
    entered, leave, results = threading.Event(), threading.Event(), list[int]()

    @guard
    def work(number: int) -> int:
        entered.set()
        leave.wait(10)
        return number

    threads = [threading.Thread(target=lambda n=n: results.append(work(n))) for n in (1, 2)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    give_up = time.monotonic() + 10
    while guard.statistics().bulkheads[0].waiting == 0 and time.monotonic() < give_up and threads[1].is_alive():
        threading.Event().wait(0.001)
    leave.set()
    for each in threads:
        each.join(10)
    assert sorted(results) == [1, 2]


@pytest.mark.parametrize("after", [(Timeout(5), Bulkhead(3)), (Fallback("new"),), (Retry(), Cache())])
async def test_a_call_that_is_under_way_ends_by_the_policies_that_it_began_with(
    pipeline: Callable[..., Pipeline], after: tuple[Any, ...]
) -> None:
    guard = pipeline(Fallback("old"), Retry(max_attempts=2, initial_backoff=0))
    gate = anyio.Event()
    attempts: list[int] = []
    results: list[str] = []

    @guard
    async def work() -> str:
        attempts.append(1)
        await gate.wait()
        raise OSError

    async def call() -> None:
        results.append(await work())

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        guard.configure(after)
        gate.set()
    assert (results, len(attempts)) == (["old"], 2)
