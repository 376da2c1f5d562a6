"""Async generator functions under a pipeline."""

from __future__ import annotations

import contextvars
import functools
import gc
import inspect
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest

from corten import deadline
from corten.errors import BulkheadFull, ChaosError, CircuitOpen, CortenError, DeadlineExceeded, RateLimited
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.plugins import CallDetails, Observer
from corten.policies import (
    AdaptiveLimit,
    Bulkhead,
    Cache,
    Chaos,
    CircuitBreaker,
    Fallback,
    Hedge,
    Middleware,
    RateLimit,
    Retry,
    Timeout,
)
from corten.testing import FakeClock, allow_chaos, cancel_at_each_await, no_policies

pytestmark = pytest.mark.anyio

Make = Callable[..., Pipeline]


async def rows(count: int, *, start: int = 0) -> AsyncGenerator[int, None]:
    """Count."""
    for each in range(start, start + count):
        await anyio.lowlevel.checkpoint()
        yield each


async def echo() -> AsyncGenerator[object, object]:
    got: object = "first"
    while True:
        try:
            got = yield got
        except KeyError as error:
            got = f"caught {error}"


def running(guard: Pipeline) -> int:
    return guard.statistics().bulkheads[0].running


async def test_it_looks_and_counts_like_the_function_it_guards(pipeline: Make) -> None:
    guarded = pipeline(RateLimit("1000/s"), CircuitBreaker(), Bulkhead(1), Timeout(5))(rows)
    assert inspect.isasyncgenfunction(guarded)
    assert inspect.signature(guarded) == inspect.signature(rows)
    assert (guarded.__name__, guarded.__doc__, guarded.__module__) == ("rows", "Count.", __name__)
    assert inspect.isasyncgen(guarded(1))
    assert [each async for each in guarded(3, start=5)] == [5, 6, 7]
    assert [each async for each in guarded(0)] == []


async def test_it_is_admitted_before_the_first_item_and_holds_until_the_last(pipeline: Make) -> None:
    guard = pipeline(RateLimit("1/h", burst=2), Bulkhead(1))
    called: list[int] = []

    @guard
    async def numbers() -> AsyncGenerator[int, None]:
        called.append(1)
        yield 1
        yield 2

    iterator = numbers()
    assert (running(guard), called) == (0, [])
    async for _ in iterator:
        assert running(guard) == 1
        with pytest.raises(BulkheadFull):
            await anext(numbers())
        break
    assert running(guard) == 1, "whoever leaves the loop has not closed it"
    assert [each async for each in iterator] == [2]
    assert running(guard) == 0
    with pytest.raises(RateLimited):
        await anext(numbers())
    assert called == [1]
    assert guard.statistics().successes == 1


async def test_what_is_sent_and_thrown_arrives(pipeline: Make) -> None:
    async with aclosing(pipeline(Bulkhead(1), Timeout(5))(echo)()) as talk:
        assert await anext(talk) == "first"
        assert await talk.asend("second") == "second"
        assert await talk.athrow(KeyError("k")) == "caught 'k'"
        assert await talk.asend(None) is None


@pytest.mark.parametrize("further", [(), (Timeout(5),), (AdaptiveLimit(),)])
async def test_an_error_comes_out_as_it_is_and_is_a_failure(pipeline: Make, further: tuple[Any, ...]) -> None:
    guard = pipeline(CircuitBreaker(failures=2), Bulkhead(1), *further)
    error = LookupError("mine")

    @guard
    async def fails() -> AsyncGenerator[int, None]:
        yield 1
        raise error

    with pytest.raises(LookupError) as raised:
        [each async for each in fails()]
    assert raised.value is error
    frames = [each.name for each in traceback.extract_tb(error.__traceback__)]
    assert frames[-3:] == ["fails", "step", "fails"], "two frames of ours before the user's"
    assert len(frames) <= 5
    iterator = fails()
    await anext(iterator)
    with pytest.raises(ValueError, match="from outside"):
        await iterator.athrow(ValueError("from outside"))
    with pytest.raises(CircuitOpen):
        await anext(fails())
    assert running(guard) == 0


async def test_closing_it_early_is_a_success(pipeline: Make) -> None:
    guard, closed = pipeline(CircuitBreaker(failures=1), Bulkhead(1)), []

    @guard
    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append(1)

    async with aclosing(numbers()) as iterator:
        await anext(iterator)
    assert (closed, running(guard), guard.statistics().successes) == ([1], 0, 1)
    await numbers().aclose()
    assert guard.statistics().calls == 1, "one that never began was never admitted"
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)


async def test_an_error_while_it_is_closed_is_a_failure(pipeline: Make) -> None:
    guard = pipeline(CircuitBreaker(failures=1))

    @guard
    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            raise OSError("while closing")

    iterator = numbers()
    await anext(iterator)
    with pytest.raises(OSError, match="while closing"):
        await iterator.aclose()
    assert guard.statistics().breakers[0].state == "open"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_dropped_half_way_it_gives_its_place_back(pipeline: Make, anyio_backend: str) -> None:
    guard = pipeline(Bulkhead(1))
    guarded = guard(rows)
    iterator = guarded(5)
    await anext(iterator)
    assert running(guard) == 1
    del iterator
    gc.collect()
    for _ in range(3):
        await anyio.lowlevel.checkpoint()  # asyncio closes what was dropped in a task of its own
    assert running(guard) == 0


def test_dropped_without_a_loop_it_gives_its_place_back(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1))

    @guard
    async def numbers() -> AsyncGenerator[int, None]:
        yield 1

    iterator = numbers()
    with pytest.raises(StopIteration):
        iterator.__anext__().send(None)
    assert running(guard) == 1
    del iterator
    gc.collect()
    assert running(guard) == 0


async def test_a_time_limit_is_for_all_steps_and_not_for_what_is_done_with_the_items(
    pipeline: Make, clock: FakeClock
) -> None:
    guard = pipeline(CircuitBreaker(failures=1), Timeout(3), Bulkhead(1))
    left: list[float | None] = []

    @guard
    async def slow() -> AsyncIterator[int]:
        for each in range(9):
            left.append(deadline.remaining())
            await clock.sleep(1)
            yield each

    got: list[int] = []
    raised: list[DeadlineExceeded] = []

    async def consume() -> None:
        try:
            async for each in slow():
                got.append(each)
                assert deadline.remaining() is None
                await clock.sleep(10)
        except DeadlineExceeded as error:
            raised.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(consume)
        for _ in range(45):
            await clock.advance(1)
    assert got == [0, 1]
    assert left == pytest.approx([3, 2, 1])
    assert (raised[0].what, raised[0].seconds) == ("p", 3)
    seen = guard.statistics()
    assert (seen.timeouts, seen.breakers[0].state, running(guard)) == (1, "open", 0)


async def test_when_the_clock_jumps_the_outermost_limit_decides(pipeline: Make, clock: FakeClock) -> None:
    guard = pipeline(Timeout(5), CircuitBreaker(failures=1), Timeout(2))
    raised: list[DeadlineExceeded] = []

    @guard
    async def stuck() -> AsyncIterator[int]:
        await anyio.sleep_forever()
        yield 1

    async def iterate() -> None:
        with pytest.raises(DeadlineExceeded) as error:
            await anext(stuck())
        raised.append(error.value)

    async def block() -> None:
        with pytest.raises(DeadlineExceeded) as error:
            async with guard.guard():
                await anyio.sleep_forever()
        raised.append(error.value)

    for way in (iterate, block):
        async with anyio.create_task_group() as group:
            group.start_soon(way)
            await anyio.wait_all_tasks_blocked()
            clock.tick(100)
    assert [each.seconds for each in raised] == [5, 5]
    assert guard.statistics().breakers[0].state == "closed", "to what is inside of the limit it was cancelled"


async def test_it_waits_for_its_token_within_the_time_limit(pipeline: Make, clock: FakeClock) -> None:
    guard = pipeline(Timeout(5), RateLimit("1/s", burst=1, max_wait=60))
    guarded = guard(rows)
    assert [each async for each in guarded(1)] == [0]
    found: list[int] = []

    async def consume() -> None:
        found.extend([each async for each in guarded(2)])

    async with anyio.create_task_group() as group:
        group.start_soon(consume)
        await clock.advance(0.5)
        assert found == []
        await clock.advance(0.6)
    assert found == [0, 1]
    guard.configure([Timeout(0.5), RateLimit("1/s", burst=1, max_wait=60)])
    with pytest.raises(RateLimited):
        await anext(guarded(1))


async def test_cancelling_at_each_await_leaks_nothing(pipeline: Make) -> None:
    guard = pipeline(CircuitBreaker(failures=1), RateLimit("1000/s", burst=1000), Timeout(5), Bulkhead(1))
    guarded = guard(rows)

    async def operation() -> None:
        async with aclosing(guarded(3)) as iterator:
            async for _ in iterator:
                await anyio.lowlevel.checkpoint()

    def check() -> None:
        seen = guard.statistics()
        assert (running(guard), seen.breakers[0].state, seen.errors) == (0, "closed", 0)
        assert deadline.remaining() is None

    assert await cancel_at_each_await(operation, check) >= 4


@pytest.mark.parametrize(
    ("policies", "named"),
    [
        ((Retry(),), "retry"),
        ((Bulkhead(1), Hedge(delay=1), Fallback(None)), "hedge, fallback"),
        ((Cache(), CircuitBreaker()), "cache"),
        ((Middleware("corten.testing:cancel_at_each_await"),), "middleware"),
        ((Chaos(result_rate=0.1),), "chaos with a result_rate"),
    ],
)
def test_what_cannot_apply_is_named_at_decoration(pipeline: Make, policies: tuple[Any, ...], named: str) -> None:
    with pytest.raises(ValueError, match=f"^pipeline 'p': {named} can't guard the async generator rows: such a"):
        pipeline(*policies)(rows)


def test_policies_that_cannot_apply_change_nothing(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1))
    guarded = guard(rows)
    with pytest.raises(ValueError, match="retry can't guard the async generator rows"):
        guard.configure([Retry()])
    assert guard.policies == (Bulkhead(1),)
    assert inspect.isasyncgenfunction(guarded)


async def test_new_policies_hold_for_iterations_from_then_on(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1))
    guarded = guard(rows)
    iterator = guarded(3)
    await anext(iterator)
    guard.configure([Bulkhead(2)])
    assert [each async for each in guarded(2)] == [0, 1]
    assert [each async for each in iterator] == [1, 2]
    assert running(guard) == 0


async def test_before_settings_came_an_iteration_is_refused_in_words(clock: FakeClock) -> None:
    guard = Pipeline("p", registry=Registry(), clock=clock)
    guarded = guard(rows)
    assert inspect.isasyncgenfunction(guarded)
    with pytest.raises(CortenError, match="has no policies yet"):
        await anext(guarded(1))
    guard.configure([Bulkhead(1)])
    assert [each async for each in guarded(1)] == [0]


async def test_keys_are_the_functions_parameters(pipeline: Make) -> None:
    guarded = pipeline(RateLimit("1/h", burst=1, key="start"))(rows)
    assert [each async for each in guarded(1, start=1)] == [1]
    assert [each async for each in guarded(1, start=2)] == [2]
    with pytest.raises(RateLimited):
        await anext(guarded(1, start=1))
    with pytest.raises(ValueError, match="counts by 'tenant', which is no parameter of rows"):
        pipeline(RateLimit("1/h", key="tenant"))(rows)


async def test_methods_and_context_managers(pipeline: Make) -> None:
    guard = pipeline(CircuitBreaker(failures=1), Bulkhead(1))

    class Store:
        @guard
        async def items(self, count: int) -> AsyncIterator[int]:
            for each in range(count):
                yield each

    assert [each async for each in Store().items(2)] == [0, 1]

    @asynccontextmanager
    @guard
    async def opened() -> AsyncGenerator[int, None]:
        yield 1

    async with opened():
        assert running(guard) == 1
    with pytest.raises(KeyError):
        async with opened():
            raise KeyError
    assert guard.statistics().breakers[0].state == "open", "the block's error went through the generator"


async def test_each_step_has_the_context_of_whoever_asks(pipeline: Make) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @pipeline(Bulkhead(1), Timeout(5))
    async def seen() -> AsyncGenerator[int, None]:
        while True:
            yield variable.get()

    async with aclosing(seen()) as iterator:
        for each in range(3):
            variable.set(each)
            assert await anext(iterator) == each


async def test_chaos_harms_iterations_before_their_first_item(pipeline: Make) -> None:
    guard = pipeline(Chaos(1))
    guarded = guard(rows)
    assert [each async for each in guarded(1)] == [0]
    with allow_chaos(guard), pytest.raises(ChaosError):
        await anext(guarded(1))


async def test_tests_may_leave_the_policies_out(pipeline: Make) -> None:
    guarded = pipeline(RateLimit("1/h", burst=1))(rows)
    with no_policies():
        for _ in range(3):
            assert [each async for each in guarded(2)] == [0, 1]


async def test_observers_do_not_reach_into_the_code_between_the_steps(clock: FakeClock) -> None:
    surrounded: list[CallDetails] = []

    @contextmanager
    def observe(details: CallDetails) -> Generator[None]:
        surrounded.append(details)
        yield

    guard = Pipeline("shop", Bulkhead(1))
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), observers=[Observer("test", call=observe)])
    assert [each async for each in guard(rows)(2)] == [0, 1]
    assert surrounded == []


async def test_partials_and_callable_objects_are_iterated_too(pipeline: Make) -> None:
    class Counting:
        async def __call__(self, count: int) -> AsyncIterator[int]:
            for each in range(count):
                yield each

    guard = pipeline(Bulkhead(1))
    for function in (functools.partial(rows, 2), functools.partial(Counting(), 2)):
        iterator = guard(function)()
        assert await anext(iterator) == 0
        assert running(guard) == 1
        assert [each async for each in iterator] == [1]
        assert running(guard) == 0
    assert [each async for each in guard(Counting())(2)] == [0, 1]


async def test_it_cannot_be_called_without_decorating(pipeline: Make) -> None:
    guard: Any = pipeline(Bulkhead(1))
    with pytest.raises(TypeError, match="pipeline 'p': rows is an async generator function: decorate it"):
        await guard.call(rows, 1)


def test_plain_generators_are_refused_with_the_way_out(pipeline: Make) -> None:
    def numbers() -> Any:
        yield 1

    with pytest.raises(TypeError, match=r"write it with `async def`, or put `with pipeline.guard\(\):` into it"):
        pipeline(Bulkhead(1))(numbers)
