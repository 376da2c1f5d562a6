"""A block of code under a pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from corten import deadline
from corten.errors import (
    BulkheadFull,
    ChaosError,
    CircuitOpen,
    ConcurrencyLimited,
    CortenError,
    DeadlineExceeded,
    RateLimited,
)
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


async def test_a_block_is_admitted_counted_and_gives_its_place_back(pipeline: Make) -> None:
    limited = pipeline(CircuitBreaker(), RateLimit("1/h", burst=2), Bulkhead(1))
    async with limited.guard():
        assert limited.statistics().bulkheads[0].running == 1
        with pytest.raises(BulkheadFull):
            async with limited.guard():
                raise AssertionError("it has no place")
    with pytest.raises(RateLimited):
        async with limited.guard():
            raise AssertionError("it has no token")
    seen = limited.statistics()
    assert (seen.successes, seen.refused["rate_limit"], seen.refused["bulkhead"]) == (1, 1, 1)
    assert seen.bulkheads[0].running == 0


async def test_errors_of_the_block_open_the_breaker_and_come_out_as_they_are(pipeline: Make) -> None:
    guard = pipeline(CircuitBreaker(failures=2))
    error = KeyError("mine")
    for _ in range(2):
        with pytest.raises(KeyError) as raised:
            async with guard.guard():
                raise error
        assert raised.value is error
    with pytest.raises(CircuitOpen):
        async with guard.guard():
            raise AssertionError("the circuit is open")
    assert guard.statistics().errors == 2


async def test_a_time_limit_ends_the_block_and_is_a_failure_to_the_breaker_outside(
    pipeline: Make, clock: FakeClock
) -> None:
    guard = pipeline(CircuitBreaker(failures=1), Bulkhead(1), Timeout(2))
    raised: list[DeadlineExceeded] = []

    async def block() -> None:
        try:
            async with guard.guard():
                assert deadline.remaining() == pytest.approx(2)
                await anyio.sleep_forever()
        except DeadlineExceeded as error:
            raised.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(block)
        await clock.advance(1.9)
        assert not raised
        await clock.advance(0.2)
    assert (raised[0].what, raised[0].seconds) == ("p", 2)
    seen = guard.statistics()
    assert (seen.timeouts, seen.breakers[0].state, seen.bulkheads[0].running) == (1, "open", 0)
    assert deadline.remaining() is None


async def test_a_time_limit_outside_holds_in_the_queue(pipeline: Make, clock: FakeClock) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=1))
    raised: list[Exception] = []

    async def wait() -> None:
        try:
            async with guard.guard():
                raise AssertionError("it never gets a place")
        except DeadlineExceeded as error:
            raised.append(error)

    async with guard.guard(), anyio.create_task_group() as group:
        guard.configure([Timeout(2), Bulkhead(1, max_waiting=1)])
        group.start_soon(wait)
        await clock.advance(1.9)
        assert guard.statistics().bulkheads[0].waiting == 1
        await clock.advance(0.2)
    assert len(raised) == 1
    assert guard.statistics().bulkheads[0].waiting == 0


async def test_a_block_waits_for_its_token_and_its_place(pipeline: Make, clock: FakeClock) -> None:
    guard = pipeline(RateLimit("1/s", burst=1, max_wait=5), Bulkhead(1, max_waiting=5))
    entered: list[float] = []
    began = clock.now()

    async def block() -> None:
        async with guard.guard():
            entered.append(clock.now() - began)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(block)
        await clock.advance(3)
    assert entered == pytest.approx([0, 1, 2])


async def test_values_are_given_by_parameter(pipeline: Make) -> None:
    guard = pipeline(RateLimit("1/h", burst=3, key="tenant", cost="size"), Bulkhead(1, priority="urgency"))
    async with guard.guard(tenant="a", size=2, urgency=1, further="ignored"):
        pass
    with pytest.raises(RateLimited):
        async with guard.guard(tenant="a", size=2, urgency=1):
            raise AssertionError("the tenant has one token left")
    async with guard.guard(tenant="b", size=3, urgency=0):
        pass
    with pytest.raises(TypeError, match=r"pipeline 'p': a policy needs 'tenant': write guard\(tenant=…\)"):
        async with guard.guard(size=1):
            raise AssertionError("nobody knows whose token")


async def test_functions_of_the_arguments_get_the_values(pipeline: Make) -> None:
    guard = pipeline(RateLimit("1/h", burst=1, key=lambda user, **_: user.lower()))
    async with guard.guard(user="A", more=1):
        pass
    with pytest.raises(RateLimited):
        async with guard.guard(user="a"):
            raise AssertionError("it is the same user")


async def test_what_is_wrong_with_the_values_is_no_failure_of_the_block(pipeline: Make) -> None:
    def key(**_: object) -> object:
        raise LookupError("no key")

    for policy, error in ((RateLimit("1/h", key=key), LookupError), (RateLimit("1/h", key="tenant"), TypeError)):
        guard = pipeline(CircuitBreaker(failures=1), Bulkhead(1), policy)
        with pytest.raises(error):
            async with guard.guard():
                raise AssertionError("nobody knows whose token")
        with pytest.raises(error), guard.guard():
            raise AssertionError("nobody knows whose token")
        seen = guard.statistics()
        assert (seen.calls, seen.bulkheads[0].running, seen.breakers[0].state) == (0, 0, "closed")
    with pytest.raises(TypeError, match="unhashable"):
        async with pipeline(Bulkhead(1), RateLimit("1/h", key="tenant")).guard(tenant=[]):
            raise AssertionError("a list is no key")


@pytest.mark.parametrize(
    ("policies", "named"),
    [
        ((Retry(),), "retry"),
        ((Bulkhead(1), Hedge(delay=1), Fallback(None)), "hedge, fallback"),
        ((Cache(), Retry(), CircuitBreaker(), Retry()), "cache, retry"),
        ((Middleware("corten.testing:cancel_at_each_await"),), "middleware"),
        ((Chaos(result_rate=0.1),), "chaos with a result_rate"),
    ],
)
def test_what_repeats_or_replaces_a_result_is_named(pipeline: Make, policies: tuple[Any, ...], named: str) -> None:
    made = pipeline(*policies)
    with pytest.raises(ValueError, match=f"^pipeline 'p': {named} can't guard a block: such a policy repeats"):
        made.guard()


def test_before_settings_came_a_block_is_refused_in_words(clock: FakeClock) -> None:
    with pytest.raises(CortenError, match="has no policies yet"):
        Pipeline("p", clock=clock).guard()


async def test_a_guard_is_for_one_block(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(5)).guard()
    async with guard:
        pass
    with pytest.raises(CortenError, match="a guard is for one block"):
        async with guard:
            raise AssertionError("not again")


async def test_blocks_and_functions_share_limits_and_follow_new_policies(pipeline: Make) -> None:
    both = pipeline(RateLimit("1/h", burst=1))

    @both
    async def work() -> None: ...

    async with both.guard():
        pass
    with pytest.raises(RateLimited):
        await work()
    both.configure([RateLimit("1/h", burst=1), Bulkhead(1)])
    with pytest.raises(RateLimited):
        async with both.guard():
            raise AssertionError("the token is gone")
    both.configure([Bulkhead(1)])
    async with both.guard():
        assert both.statistics().bulkheads[0].running == 1


async def test_cancelling_at_each_await_leaks_nothing(pipeline: Make) -> None:
    guard = pipeline(CircuitBreaker(), RateLimit("1000/s", burst=1000), Bulkhead(1, max_waiting=1), Timeout(5))

    async def operation() -> None:
        async with guard.guard():
            for _ in range(3):
                await anyio.lowlevel.checkpoint()

    def check() -> None:
        seen = guard.statistics()
        assert (seen.bulkheads[0].running, seen.bulkheads[0].waiting) == (0, 0)
        assert seen.breakers[0].state == "closed"
        assert deadline.remaining() is None

    assert await cancel_at_each_await(operation, check) >= 2
    assert guard.statistics().errors == 0


async def test_a_cancelled_waiter_leaves_the_queue(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=5))

    async def wait() -> None:
        async with guard.guard():
            raise AssertionError("it never gets a place")

    async with guard.guard(), anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert guard.statistics().bulkheads[0].waiting == 1
        group.cancel_scope.cancel()
    assert (guard.statistics().bulkheads[0].waiting, guard.statistics().bulkheads[0].running) == (0, 0)


async def test_an_outer_cancellation_stays_one(pipeline: Make) -> None:
    guard = pipeline(Timeout(5))
    with anyio.CancelScope() as scope:
        async with guard.guard():
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert guard.statistics().cancelled == 1


async def test_thousands_of_blocks_wait_and_all_get_through(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=3_000))
    through = 0

    async def block() -> None:
        nonlocal through
        async with guard.guard():
            through += 1

    async with anyio.create_task_group() as group, guard.guard():
        for _ in range(3_000):
            group.start_soon(block)
        await anyio.wait_all_tasks_blocked()
        assert guard.statistics().bulkheads[0].waiting == 3_000
    assert through == 3_000


async def test_an_adaptive_limit_holds_for_blocks(pipeline: Make) -> None:
    guard = pipeline(AdaptiveLimit(initial=1, max=1))
    async with guard.guard():
        with pytest.raises(ConcurrencyLimited):
            async with guard.guard():
                raise AssertionError("it has no place")
    async with guard.guard():
        pass


async def test_chaos_harms_blocks(pipeline: Make) -> None:
    guard = pipeline(CircuitBreaker(failures=1), Chaos(1))
    async with guard.guard():
        pass
    with allow_chaos(guard), pytest.raises(ChaosError):
        async with guard.guard():
            raise AssertionError("it is harmed first")
    assert guard.statistics().breakers[0].state == "open"


async def test_tests_may_leave_the_policies_out(pipeline: Make) -> None:
    guard = pipeline(RateLimit("1/h", burst=1, key="tenant"))
    with no_policies():
        for _ in range(3):
            async with guard.guard():
                pass


async def test_observers_surround_blocks(clock: FakeClock) -> None:
    seen: list[object] = []

    @contextmanager
    def observe(details: CallDetails) -> Generator[None]:
        try:
            yield
        finally:
            seen.append(details)

    guard = Pipeline("shop", Bulkhead(1))
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), observers=[Observer("test", call=observe)])
    async with guard.guard():
        assert seen == []
    assert seen == [CallDetails("shop", "guard")]


def test_plain_blocks_in_threads_take_turns(pipeline: Make) -> None:
    guard = pipeline(CircuitBreaker(failures=1), Bulkhead(1, max_waiting=8))
    running, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        for _ in range(20):
            with guard.guard():
                with lock:
                    running += 1
                    most = max(most, running)
                with lock:
                    running -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (most, guard.statistics().successes) == (1, 80)
    with pytest.raises(KeyError), guard.guard():
        raise KeyError
    with pytest.raises(CircuitOpen), guard.guard():
        raise AssertionError("the circuit is open")


def test_a_plain_block_waits_in_its_thread(pipeline: Make, clock: FakeClock) -> None:
    guard = pipeline(RateLimit("1/s", burst=1, max_wait=5))
    began = clock.now()
    for _ in range(3):
        with guard.guard():
            pass
    assert clock.now() == pytest.approx(began + 2)


async def test_a_plain_block_does_not_stop_a_loop(pipeline: Make) -> None:
    guard = pipeline(RateLimit("1/s", burst=1, max_wait=5))
    with guard.guard():
        pass
    with pytest.raises(CortenError, match="in the thread of an event loop"), guard.guard():
        raise AssertionError("it would have to wait")


def test_a_time_limit_cannot_guard_a_plain_block(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1), Timeout(2))
    with pytest.raises(CortenError, match="its timeout cannot guard a sync block"), guard.guard():
        raise AssertionError("nothing could interrupt it")
    assert guard.statistics().bulkheads[0].running == 0
