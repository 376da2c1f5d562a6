"""How the limit follows what calls take, and that no place is lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest

from corten.errors import BulkheadFull, ConcurrencyLimited, MessageError, RateLimited, Refused
from corten.events import CallRefused, Events
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.policies import AdaptiveLimit, Bulkhead, CircuitBreaker, Policy, RateLimit, Retry, Timeout
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


async def rounds(guard: Pipeline, clock: FakeClock, count: int, seconds: float, callers: int = 60) -> int:
    """As many calls at once as are let through, each so long, again and again; how many were in the last round."""

    @guard
    async def work() -> None:
        nonlocal made
        made += 1
        await clock.sleep(seconds)

    async def call() -> None:
        with contextlib.suppress(ConcurrencyLimited):
            await work()

    made = 0
    for _ in range(count):
        made = 0
        async with anyio.create_task_group() as group:
            for _ in range(callers):
                group.start_soon(call)
            await clock.advance(seconds)
    return made


async def test_it_grows_while_calls_take_no_longer(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=10))
    assert await rounds(guard, clock, 1, 0.1) == 10
    assert await rounds(guard, clock, 12, 0.1) > 15
    seen = guard.adaptive_limits[0].statistics()
    assert (seen.latency, seen.idle_latency) == (pytest.approx(0.1), pytest.approx(0.1))
    assert (seen.running, seen.dropped) == (0, 0)
    assert seen.refused > 0
    assert guard.statistics().refused == {"adaptive_limit": seen.refused}
    assert guard.statistics().adaptive_limits == (seen,)


async def test_it_shrinks_when_calls_take_longer(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=20))
    await rounds(guard, clock, 8, 0.1)
    before = guard.adaptive_limits[0].statistics().limit
    await rounds(guard, clock, 6, 0.5)
    assert guard.adaptive_limits[0].statistics().limit < 0.9 * before


async def test_who_finds_no_place_is_refused_with_an_error_of_its_own(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(AdaptiveLimit(initial=1, max_waiting=1, max_wait=3), name="users")
    events = Events()
    told: list[CallRefused] = []
    events.subscribe(told.append, CallRefused)
    runtime_of(guard).bind(owner=object(), clock=clock, registry=runtime_of(guard).registry, events=events)
    gate = anyio.Event()

    @guard
    async def work() -> None:
        await gate.wait()

    async def late() -> None:
        with pytest.raises(ConcurrencyLimited, match="no place came free"):
            await work()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(late)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ConcurrencyLimited, match="as many calls as are allowed are running and waiting") as caught:
            await work()
        assert isinstance(caught.value, Refused)
        assert (caught.value.pipeline, caught.value.policy, caught.value.retry_after) == (
            "users",
            "adaptive_limit",
            None,
        )
        await clock.advance(3)
        gate.set()
    assert [each.policy for each in told] == ["adaptive_limit"] * 2
    assert guard.adaptive_limits[0].statistics().gave_up == 1


async def test_latency_is_that_inside_of_the_place(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=1, max=1, max_waiting=50))

    @guard
    async def work() -> None:
        await clock.sleep(1)

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(work)
        for _ in range(12):
            await clock.advance(1)
    assert guard.adaptive_limits[0].statistics().latency == pytest.approx(1)  # the last one waited eleven before it


class Overloaded(Exception):
    """What an overloaded server's client raises."""


def marked(retryable: bool) -> Exception:
    error = ValueError()
    error.retryable = retryable  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "fields", "dropped"),
    [
        (OSError(), {}, True),
        (TimeoutError(), {}, True),
        (RateLimited("elsewhere", "rate_limit", "none left"), {}, True),
        (marked(True), {}, True),
        (marked(False), {}, False),
        (ValueError(), {}, False),
        (MessageError(), {}, False),
        (Overloaded(), {"on": (Overloaded,)}, True),
        (OSError(), {"on": (Overloaded,)}, False),
        (OSError(), {"ignore": (OSError,)}, False),
        (OSError(), {"ignore": ("ConnectionError",)}, True),
    ],
)
async def test_errors_that_may_come_of_overload_are_drops(
    pipeline: Callable[..., Pipeline], error: Exception, fields: dict[str, Any], dropped: bool
) -> None:
    guard = pipeline(AdaptiveLimit(**fields))

    @guard
    async def work() -> None:
        raise error

    @guard
    def plain() -> None:
        raise error

    with pytest.raises(type(error)):
        await work()
    with pytest.raises(type(error)):
        plain()
    assert guard.adaptive_limits[0].statistics().dropped == 2 * dropped


async def test_a_time_limit_inside_is_a_drop_and_one_outside_a_cancellation(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    for policies, dropped in (
        ((AdaptiveLimit(), Timeout(1)), 1),
        ((Timeout(1), AdaptiveLimit()), 0),
        ((Retry(max_attempts=2, initial_backoff=0), AdaptiveLimit(), Timeout(1)), 2),
    ):
        guard = pipeline(*policies)

        @guard
        async def work() -> None:
            await anyio.sleep_forever()

        async def run(work: Callable[[], Any] = work) -> None:
            with pytest.raises(TimeoutError):
                await work()

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            for _ in range(3):
                await clock.advance(1)
        seen = guard.adaptive_limits[0].statistics()
        assert (seen.dropped, seen.running) == (dropped, 0)


async def test_a_refusal_inside_and_a_slow_call_are_drops(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(slow_call=1), Bulkhead(1))

    @guard
    async def work() -> None:
        await clock.sleep(2)

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull):
            await work()
        assert guard.adaptive_limits[0].statistics().dropped == 1
        await clock.advance(2)
    assert guard.adaptive_limits[0].statistics().dropped == 2


async def test_many_drops_shrink_it(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit("aimd", initial=20, backoff=0.5))

    @guard
    async def work() -> None:
        await clock.sleep(0.1)
        raise OSError

    async def call() -> None:
        with pytest.raises(OSError):
            await work()

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(call)
        await clock.advance(0.1)
    assert guard.adaptive_limits[0].statistics().limit == 10


async def test_it_is_steered_while_it_runs(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=2, max=50, max_waiting=9))
    control = guard.adaptive_limits[0]
    gate = anyio.Event()
    running = 0

    @guard
    async def work() -> None:
        nonlocal running
        running += 1
        await gate.wait()

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        assert repr(control) == "<adaptive limit: 2 of 2.0 running, 3 waiting>"
        control.set(4.5)
        await anyio.wait_all_tasks_blocked()
        assert (running, control.statistics().limit) == (4, 4.5)
        control.set(1000)
        await anyio.wait_all_tasks_blocked()
        assert (running, control.statistics().limit) == (5, 50)
        for wrong in (0, -1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="it must be a number of at least 1"):
                control.set(wrong)
        gate.set()
    control.reset()
    assert control.statistics().limit == 2
    guard.configure([AdaptiveLimit(initial=20)])  # nobody waits, so that nobody is left behind
    control.set(20)
    await rounds(guard, clock, 3, 0.1)
    assert control.statistics().idle_latency is not None
    control.reset()
    assert control.statistics().idle_latency is None


async def test_what_was_learned_stays_when_policies_change(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=10))
    await rounds(guard, clock, 8, 0.1)
    before = guard.adaptive_limits[0].statistics()
    guard.configure([Retry(), AdaptiveLimit("aimd", initial=3)])
    after = guard.adaptive_limits[0].statistics()
    assert (after.limit, after.idle_latency) == (before.limit, before.idle_latency)
    guard.configure([AdaptiveLimit(initial=4, max=5)])
    assert guard.adaptive_limits[0].statistics().limit == 5


async def test_cancelled_at_each_await_it_leaks_nothing(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(
        Timeout(9),
        Retry(initial_backoff=0),
        CircuitBreaker(),
        AdaptiveLimit(initial=1, max=2, max_waiting=3),
        Timeout(5),
    )
    attempts = 0

    @guard
    async def work() -> None:
        nonlocal attempts
        attempts += 1
        await anyio.lowlevel.checkpoint()
        if attempts % 2:
            raise OSError
        await anyio.lowlevel.checkpoint()

    async def three() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(work)

    def check() -> None:
        seen = guard.adaptive_limits[0].statistics()
        assert (seen.running, seen.waiting) == (0, 0)

    assert await cancel_at_each_await(three, check) > 5


def test_threads_lose_no_place_and_no_count(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=3, max=4), CircuitBreaker(failures=10**9))
    inside = most = 0

    @guard
    def work(number: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1
        if number % 3 == 0:
            raise OSError

    def hammer() -> None:
        for number in range(2000):
            with contextlib.suppress(OSError, ConcurrencyLimited):
                work(number)

    threads = [threading.Thread(target=hammer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guard.statistics().calls == 12000
    assert guard.adaptive_limits[0].statistics().running == 0
    assert most <= 4


async def test_a_plain_function_waits_in_its_thread(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=1, max=1, max_waiting=1))
    entered, leave = threading.Event(), threading.Event()
    results: list[int] = []

    @guard
    def hold() -> None:
        entered.set()
        leave.wait(10)

    @guard
    def work() -> None:
        results.append(7)

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, hold)
        await anyio.to_thread.run_sync(entered.wait, 10)
        group.start_soon(anyio.to_thread.run_sync, work)
        with anyio.fail_after(10):
            while guard.adaptive_limits[0].statistics().waiting == 0:
                await anyio.lowlevel.checkpoint()
        assert results == []
        leave.set()
    assert results == [7]


async def test_a_call_that_would_wait_for_its_own_caller_is_refused(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=1, max=1, max_waiting=9))

    @guard
    async def itself(deep: bool) -> None:
        if deep:
            await itself(False)

    with pytest.raises(ConcurrencyLimited, match="would wait for itself"):
        await itself(True)
    assert guard.adaptive_limits[0].statistics().running == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"algorithm": "vegas"}, "adaptive_limit: algorithm is 'vegas'; there are 'gradient' and 'aimd'"),
        ({"initial": 0}, "adaptive_limit: initial is 0; it must be a whole number from 1"),
        ({"min": 0}, "min is 0"),
        ({"max": 2**32}, "max is 4294967296; it must be a whole number from 1 to 4294967295"),
        ({"min": 30}, "initial is 20; it must lie between min, which is 30, and max, which is 1000"),
        ({"max": 5}, "initial is 20; it must lie between min, which is 1, and max, which is 5"),
        ({"max_waiting": -1}, "max_waiting is -1"),
        ({"max_wait": float("inf")}, "max_wait is inf"),
        ({"tolerance": 0.9}, "tolerance is 0.9; it must be a number of at least 1"),
        ({"smoothing": 0}, "smoothing is 0; it must be a number above 0 and at most 1"),
        ({"smoothing": 1.1}, "smoothing is 1.1"),
        ({"backoff": 1}, "backoff is 1; it must be a number above 0 and below 1"),
        ({"backoff": float("nan")}, "backoff is nan"),
        ({"tolerated_drops": 5}, "tolerated_drops is 5; it must be a number from 0 to 1"),
        ({"slow_call": 0}, "slow_call is 0; it must be a number above zero"),
        ({"probe_every": 0}, "probe_every is 0"),
        ({"on": (KeyboardInterrupt,)}, "is not a subclass of Exception"),
        ({"ignore": ("no.such.Error",)}, "there is no exception 'no.such.Error'"),
    ],
)
def test_impossible_limits_are_refused_with_what_would_be_right(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as caught:
        AdaptiveLimit(**fields)
    assert words in str(caught.value)


def test_it_reads_from_settings() -> None:
    text = b'{"policy": "adaptive_limit", "algorithm": "aimd", "slow_call": 2.0, "on": ["OSError"]}'
    assert msgspec.json.decode(text, type=Policy) == AdaptiveLimit("aimd", slow_call=2.0, on=("OSError",))


async def test_clocks_that_jump_move_it_by_no_more_than_a_half(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(RateLimit("1000000/s", burst=10**6), AdaptiveLimit(initial=20, smoothing=1.0))
    await rounds(guard, clock, 5, 0.1)
    before = guard.adaptive_limits[0].statistics().limit
    await rounds(guard, clock, 1, 1_000_000)
    assert guard.adaptive_limits[0].statistics().limit >= before / 2
    await rounds(guard, clock, 300, 0.1)
    assert guard.adaptive_limits[0].statistics().limit > 20


async def test_the_registry_shows_the_limit(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(AdaptiveLimit(initial=7), name="users")
    await rounds(guard, clock, 1, 0.1)
    text = runtime_of(guard).registry.render()
    assert 'corten_adaptive_limit_limit{pipeline="users"} 7' in text
    assert 'corten_adaptive_limit_refused_total{pipeline="users"} 53' in text
