"""How many run, who waits, and that no place is lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest

from corten import App
from corten.errors import BulkheadFull, DeadlineExceeded, SettingsError
from corten.events import CallRefused, Events
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.policies import Bulkhead, CircuitBreaker, Fallback, RateLimit, Retry, Timeout, not_idempotent
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


async def test_places_go_in_the_order_of_the_queue(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=2))
    order: list[int] = []
    gates = [anyio.Event() for _ in range(3)]

    @guard
    async def work(number: int) -> None:
        order.append(number)
        await gates[number].wait()

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull, match="as many calls as are allowed"):
            await work(9)
        assert guard.statistics().bulkheads[0].waiting == 2
        for number in range(3):
            assert order == list(range(number + 1))
            gates[number].set()
            await anyio.wait_all_tasks_blocked()
    assert (guard.statistics().bulkheads[0].running, guard.statistics().bulkheads[0].waiting) == (0, 0)


async def test_who_waits_too_long_is_refused(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=1, max_wait=3))
    gate = anyio.Event()

    @guard
    async def work() -> None:
        await gate.wait()

    async def late() -> None:
        with pytest.raises(BulkheadFull, match="no place came free"):
            await work()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(late)
        await clock.advance(3)
        assert guard.statistics().bulkheads[0].waiting == 0
        gate.set()


async def test_a_time_limit_outside_holds_in_the_queue(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Timeout(2), Bulkhead(1, max_waiting=1))
    gate = anyio.Event()

    @guard
    async def work() -> None:
        await gate.wait()

    async def late(seconds: list[float]) -> None:
        with pytest.raises(DeadlineExceeded):
            await work()
        seconds.append(clock.now() - 1000)

    seconds: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(late, seconds)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(late, seconds)
        await clock.advance(2)
    assert seconds == [2, 2]
    assert guard.statistics().timeouts == 2
    assert (guard.statistics().bulkheads[0].running, guard.statistics().bulkheads[0].waiting) == (0, 0)


async def test_a_cancelled_waiter_leaves_the_queue_or_hands_its_place_on(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=5))
    gate = anyio.Event()
    done: list[int] = []

    @guard
    async def work(number: int) -> None:
        await gate.wait()
        done.append(number)

    async def cancellable(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            await work(number)

    async with anyio.create_task_group() as group:
        scopes = [anyio.CancelScope() for _ in range(4)]
        for number, scope in enumerate(scopes):
            group.start_soon(cancellable, number, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[2].cancel()
        await anyio.wait_all_tasks_blocked()
        assert guard.statistics().bulkheads[0].waiting == 2
        # Number 0 leaves, number 1 is granted the place and cancelled before it has run.
        scopes[0].cancel()
        scopes[1].cancel()
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert done == [3]
    assert (guard.statistics().bulkheads[0].running, guard.statistics().bulkheads[0].waiting) == (0, 0)


async def test_cancelled_at_each_await_it_leaks_nothing(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(
        RateLimit("1000/s", burst=1000),
        Timeout(9),
        Retry(initial_backoff=0),
        CircuitBreaker(),
        Bulkhead(1, max_waiting=3),
    )
    attempts = 0

    @guard
    async def work() -> None:
        nonlocal attempts
        attempts += 1
        await anyio.lowlevel.checkpoint()
        if attempts % 2:
            raise OSError
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()

    async def three() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(work)

    def check() -> None:
        seen = guard.statistics()
        assert (seen.bulkheads[0].running, seen.bulkheads[0].waiting) == (0, 0)
        assert seen.breakers[0].state == "closed"

    assert await cancel_at_each_await(three, check) > 5


async def test_a_place_given_back_by_another_thread_wakes_the_waiter(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=1))
    entered, leave = threading.Event(), threading.Event()

    @guard
    def hold() -> None:
        entered.set()
        leave.wait(10)

    @guard
    async def work() -> int:
        return 7

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, hold)
        await anyio.to_thread.run_sync(entered.wait, 10)
        results: list[int] = []

        async def run() -> None:
            results.append(await work())

        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        assert results == []
        leave.set()
    assert results == [7]


def test_threads_lose_no_place_and_no_count(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(
        Bulkhead(3), CircuitBreaker(failures=10**9), RateLimit("1000000000/s", burst=10**9), Retry(max_attempts=1)
    )
    inside = 0
    most = 0

    @guard
    def work(number: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1
        if number % 3 == 0:
            raise ValueError

    def hammer() -> None:
        for number in range(2000):
            with contextlib.suppress(ValueError, BulkheadFull):
                work(number)

    threads = [threading.Thread(target=hammer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = guard.statistics()
    assert seen.calls == 12000
    assert seen.bulkheads[0].running == 0


async def test_a_larger_bulkhead_wakes_who_waits(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=5))
    gate = anyio.Event()
    running: list[int] = []

    @guard
    async def work(number: int) -> None:
        running.append(number)
        await gate.wait()

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(work, number)
        await anyio.wait_all_tasks_blocked()
        guard.configure([Bulkhead(3, max_waiting=5)])
        await anyio.wait_all_tasks_blocked()
        assert sorted(running) == [0, 1, 2]
        gate.set()


def urgency(tenant: str, urgent: int = 0) -> int:
    """How urgent a call is, by its arguments."""
    return {"gold": 2, "silver": 1}.get(tenant, 0) + 10 * urgent


async def served(guard: Pipeline, calls: list[tuple[Any, ...]], wait: Callable[[], object] = lambda: None) -> list[Any]:
    """The first arguments of these calls in the order in which they got the one place."""
    order: list[Any] = []
    gate = anyio.Event()

    @guard
    async def work(tenant: Any, urgent: int = 0) -> None:
        if tenant is None:
            await gate.wait()
        else:
            order.append(tenant)

    async with anyio.create_task_group() as group:
        group.start_soon(work, None)
        await anyio.wait_all_tasks_blocked()
        for arguments in calls:
            group.start_soon(work, *arguments)
            await anyio.wait_all_tasks_blocked()
            wait()
        gate.set()
    return order


async def test_a_parameter_says_who_goes_first(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=9, priority="urgent"))
    assert await served(guard, [("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e",)]) == ["b", "d", "a", "e", "c"]


@pytest.mark.parametrize("priority", [urgency, f"{__name__}:urgency"])
async def test_a_function_of_the_arguments_says_who_goes_first(
    pipeline: Callable[..., Pipeline], priority: Callable[..., int] | str
) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=9, priority=priority))
    calls = [("bronze",), ("silver",), ("gold",), ("iron", 1)]
    assert await served(guard, calls) == ["iron", "gold", "silver", "bronze"]


async def test_with_ageing_a_long_wait_outweighs_urgency(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    calls = [("old", 0), ("young", 3)]
    strict = pipeline(Bulkhead(1, max_waiting=9, priority="urgent"))
    assert await served(strict, calls, lambda: clock.tick(40)) == ["young", "old"]
    ageing = pipeline(Bulkhead(1, max_waiting=9, priority="urgent", ageing=10))
    assert await served(ageing, calls, lambda: clock.tick(40)) == ["old", "young"]


async def test_in_a_full_queue_the_least_urgent_makes_room(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=1, priority="urgent"))
    gate = anyio.Event()
    done: list[int] = []

    @guard
    async def work(urgent: int) -> None:
        await gate.wait()
        done.append(urgent)

    async def crowded_out() -> None:
        with pytest.raises(BulkheadFull, match="a call of higher priority took its place"):
            await work(0)

    async with anyio.create_task_group() as group:
        group.start_soon(work, 0)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(crowded_out)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(work, 1)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull, match="as many calls as are allowed"):
            await work(1)
        gate.set()
    seen = guard.bulkheads[0].statistics()
    assert (done, seen.displaced, seen.refused, seen.gave_up) == ([0, 1], 1, 1, 0)
    assert guard.statistics().refused == {"bulkhead": 2}


@pytest.mark.parametrize("wrong", ["high", None, 1.5, 2**31])
async def test_a_priority_that_is_none_fails_the_call_and_holds_nothing(
    pipeline: Callable[..., Pipeline], wrong: Any
) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=1, priority="urgent"))

    @guard
    async def work(urgent: Any) -> None: ...

    @guard
    def plain(urgent: Any) -> None: ...

    with pytest.raises(ValueError, match="pipeline 'p': bulkhead: the priority of a call is .*; it must be a whole"):
        await work(wrong)
    with pytest.raises(ValueError, match="the priority of a call is"):
        await anyio.to_thread.run_sync(plain, wrong)
    await work(1)
    assert guard.bulkheads[0].statistics().running == 0


async def test_an_error_of_the_function_that_gives_priorities_is_the_calls(
    pipeline: Callable[..., Pipeline],
) -> None:
    def broken(*_: object) -> int:
        raise LookupError("no such tenant")

    guard = pipeline(Bulkhead(1, priority=broken))

    @guard
    async def work() -> None: ...

    with pytest.raises(LookupError, match="no such tenant"):
        await work()
    assert guard.bulkheads[0].statistics().running == 0


def test_a_parameter_that_the_function_has_not_is_said_when_it_is_decorated(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, priority="urgent"))
    with pytest.raises(
        ValueError, match=r"bulkhead takes its priority from 'urgent', which is no parameter of .*: it has tenant"
    ):

        @guard
        def work(tenant: str) -> None: ...


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_concurrent": 0}, "bulkhead: max_concurrent is 0; it must be a whole number from 1"),
        ({"max_concurrent": 1.5}, "bulkhead: max_concurrent is 1.5"),
        ({"max_waiting": -1}, "bulkhead: max_waiting is -1; it must be a whole number from 0"),
        ({"max_wait": -1.0}, "bulkhead: max_wait is -1.0"),
        ({"max_wait": float("nan")}, "bulkhead: max_wait is nan"),
        ({"ageing": 0}, "bulkhead: ageing is 0; it must be a number above zero"),
        ({"priority": 2**31}, "bulkhead: priority is 2147483648; it must be a whole number from -2147483648"),
        ({"priority": True}, "bulkhead: priority is True"),
        ({"priority": "not one"}, "bulkhead: priority is 'not one'; it must be a whole number, the name"),
        ({"priority": "nowhere:at_all"}, "bulkhead: priority is 'nowhere:at_all', which can't be found"),
        ({"name": ""}, "bulkhead: name is ''; it must be a text"),
        ({"priority": object}, None),
        ({"priority": 1.5}, "bulkhead: priority is 1.5, which can't be called"),
    ],
)
def test_impossible_bulkheads_are_refused_with_what_would_be_right(fields: dict[str, Any], words: str | None) -> None:
    if words is None:
        Bulkhead(**fields)
        return
    with pytest.raises(ValueError) as caught:
        Bulkhead(**fields)
    assert words in str(caught.value)


def test_it_reads_from_settings() -> None:
    text = b'{"policy": "bulkhead", "max_concurrent": 3, "priority": "tenant", "ageing": 2.5}'
    assert msgspec.json.decode(text, type=Bulkhead) == Bulkhead(3, priority="tenant", ageing=2.5)


async def test_ten_thousand_wait_and_are_served_or_cancelled(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(5, max_waiting=10_000))
    gate = anyio.Event()
    done = 0

    @guard
    async def work() -> None:
        nonlocal done
        await gate.wait()
        done += 1

    async with anyio.create_task_group() as group:
        for _ in range(5_005):
            group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        scopes = [anyio.CancelScope() for _ in range(5_000)]

        async def cancellable(scope: anyio.CancelScope) -> None:
            with scope:
                await work()

        for scope in scopes:
            group.start_soon(cancellable, scope)
        await anyio.wait_all_tasks_blocked()
        assert guard.bulkheads[0].statistics().waiting == 10_000
        for scope in scopes:
            scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert guard.bulkheads[0].statistics().waiting == 5_000
        gate.set()
    seen = guard.bulkheads[0].statistics()
    assert (done, seen.running, seen.waiting, seen.most_waiting) == (5_005, 0, 0, 10_000)
    assert (seen.gave_up, seen.waited, seen.most_running) == (5_000, 5_000, 5)


async def test_a_call_that_would_wait_for_its_own_caller_is_refused(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(2, max_waiting=9), name="tree")

    @guard
    async def depth(levels: int) -> int:
        await anyio.lowlevel.checkpoint()
        return 1 if levels == 1 else 1 + await depth(levels - 1)

    assert await depth(2) == 2
    with pytest.raises(BulkheadFull, match="pipeline 'tree': .* calls that this one is made from"):
        await depth(3)
    seen = guard.bulkheads[0].statistics()
    assert (seen.running, seen.waiting) == (0, 0)


async def test_a_call_inside_another_waits_where_somebody_else_can_make_room(
    pipeline: Callable[..., Pipeline],
) -> None:
    guard = pipeline(Timeout(9), Retry(), Bulkhead(2, max_waiting=9))
    gate = anyio.Event()

    @guard
    async def other() -> None:
        await gate.wait()

    @guard
    async def inner() -> int:
        return 7

    @guard
    async def outer() -> int:
        return await inner()

    results: list[int] = []

    async def run() -> None:
        results.append(await outer())

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        assert (results, guard.bulkheads[0].statistics().waiting) == ([], 1)
        gate.set()
    assert results == [7]


@pytest.mark.parametrize("outside", [(), (Timeout(9),), (Timeout(9), Retry(max_attempts=1), Timeout(8))])
async def test_it_is_refused_under_time_limits_as_well(
    pipeline: Callable[..., Pipeline], outside: tuple[Any, ...]
) -> None:
    guard = pipeline(*outside, Bulkhead(1, max_waiting=9))

    @guard
    async def itself(deep: bool) -> None:
        if deep:
            await itself(False)

    with pytest.raises(BulkheadFull, match="would wait for itself"):
        await itself(True)
    assert guard.bulkheads[0].statistics().running == 0


async def test_so_is_one_of_another_function_and_a_block_inside_of_a_function(
    pipeline: Callable[..., Pipeline],
) -> None:
    guard = pipeline(Timeout(9), Bulkhead(1, max_waiting=9))

    @guard
    @not_idempotent
    async def inner() -> None: ...

    @guard
    async def outer() -> None:
        await inner()

    @guard
    async def block() -> None:
        async with guard.guard():
            pass

    for function in (outer, block):
        with pytest.raises(BulkheadFull, match="would wait for itself"):
            await function()
    assert guard.bulkheads[0].statistics().running == 0


async def test_a_fallback_waits_as_it_holds_nothing_any_more(pipeline: Callable[..., Pipeline]) -> None:
    async def second(_: Exception) -> int:
        return await other()

    guard = pipeline(Fallback(call=second), Bulkhead(1, max_waiting=9))
    gate = anyio.Event()

    @guard
    async def hold() -> int:
        await gate.wait()
        return 0

    @guard
    async def other() -> int:
        return 7

    @guard
    async def failing() -> int:
        failing_runs.set()
        await fail.wait()
        raise OSError

    failing_runs, fail = anyio.Event(), anyio.Event()
    results: list[int] = []

    async def run() -> None:
        results.append(await failing())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await failing_runs.wait()
        group.start_soon(hold)
        await anyio.wait_all_tasks_blocked()
        fail.set()  # its place goes to the one that holds it then
        await anyio.wait_all_tasks_blocked()
        assert (results, guard.bulkheads[0].statistics().waiting) == ([], 1)
        gate.set()
    assert results == [7]


def test_a_plain_function_that_would_wait_for_itself_is_refused(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(2, max_waiting=9))

    @guard
    def factorial(number: int) -> int:
        return 1 if number == 0 else number * factorial(number - 1)

    assert factorial(1) == 1
    with pytest.raises(BulkheadFull, match="would wait for itself"):
        factorial(2)
    assert guard.bulkheads[0].statistics().running == 0


async def test_a_policy_outside_hears_of_a_call_that_would_wait_for_itself(pipeline: Callable[..., Pipeline]) -> None:
    falling_back = pipeline(Bulkhead(9), Fallback("instead"), Bulkhead(1, max_waiting=9))
    repeating = pipeline(
        Bulkhead(9), Retry(max_attempts=2, initial_backoff=0, on=(BulkheadFull,)), Bulkhead(1, max_waiting=9)
    )

    @falling_back
    async def itself(deep: bool) -> str:
        return f"got {await itself(False)}" if deep else "the bottom"

    @falling_back
    def plain(deep: bool) -> str:
        return f"got {plain(False)}" if deep else "the bottom"

    @repeating
    async def again(deep: bool) -> None:
        if deep:
            with pytest.raises(BulkheadFull, match="would wait for itself"):
                await again(False)

    assert await itself(True) == plain(True) == "got instead"
    await again(True)
    assert repeating.statistics().retries == 1
    for guard in (falling_back, repeating):
        assert [each.statistics().running for each in guard.bulkheads] == [0, 0]


async def test_it_is_resized_while_it_runs(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=5))
    control = guard.bulkheads[0]
    gate = anyio.Event()
    running: list[int] = []

    @guard
    async def work(number: int) -> None:
        running.append(number)
        await gate.wait()

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
        control.resize(2)
        await anyio.wait_all_tasks_blocked()
        assert sorted(running) == [0, 1]
        assert repr(control) == "<bulkhead: 2 of 2 running, 1 of 5 waiting>"
        control.resize(max_waiting=1)
        with pytest.raises(BulkheadFull):
            await work(9)
        for wrong in ({"max_concurrent": 0}, {"max_waiting": -1}):
            with pytest.raises(ValueError, match="must be a whole number"):
                control.resize(**wrong)
        gate.set()
    assert control.statistics().max_concurrent == 2
    guard.configure([Bulkhead(4)])
    assert (control.statistics().max_concurrent, control.statistics().max_waiting) == (4, 0)


async def test_it_says_how_long_calls_waited(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1, max_waiting=5))

    @guard
    async def work() -> None:
        await clock.sleep(2)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(work)
        for _ in range(3):
            await clock.advance(2)
    seen = guard.bulkheads[0].statistics()
    assert (seen.waited, seen.wait_time, seen.longest_wait) == (2, 6.0, 4.0)


async def test_a_refusal_is_told(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Bulkhead(1))
    events = Events()
    told: list[CallRefused] = []
    events.subscribe(told.append, CallRefused)
    runtime_of(guard).bind(owner=object(), clock=clock, registry=runtime_of(guard).registry, events=events)
    gate = anyio.Event()

    @guard
    async def work() -> None:
        await gate.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull):
            await work()
        gate.set()
    assert [(each.pipeline, each.policy) for each in told] == [("p", "bulkhead")]


async def test_pipelines_share_a_bulkhead_by_name_and_one_of_them_goes_first(
    pipeline: Callable[..., Pipeline],
) -> None:
    batch = pipeline(Bulkhead(1, max_waiting=9, name="database"), name="batch")
    web = pipeline(Bulkhead(1, max_waiting=9, max_wait=5, priority=10, name="database"), name="web")
    assert batch.bulkheads[0] is web.bulkheads[0]
    gate = anyio.Event()
    order: list[str] = []

    async def work(name: str) -> None:
        order.append(name)
        await gate.wait()

    async with anyio.create_task_group() as group:
        for guard, name in ((batch, "first"), (batch, "batch"), (web, "web")):
            group.start_soon(guard(work), name)
            await anyio.wait_all_tasks_blocked()
        assert (order, web.bulkheads[0].statistics().waiting) == (["first"], 2)
        gate.set()
    assert order == ["first", "web", "batch"]
    assert repr(web.bulkheads[0]) == "<bulkhead 'database': 0 of 1 running, 0 of 9 waiting>"
    assert web.statistics().bulkheads == batch.statistics().bulkheads


def test_bulkheads_of_one_name_have_the_same_size(pipeline: Callable[..., Pipeline]) -> None:
    batch = pipeline(Bulkhead(3, name="database"))
    with pytest.raises(
        ValueError, match=r"pipeline 'web': bulkhead 'database' has max_concurrent=4 here and 3 in another pipeline"
    ):
        pipeline(Bulkhead(4, name="database"), name="web")
    assert pipeline(Bulkhead(3)).bulkheads[0] is not batch.bulkheads[0]
    batch.configure([Bulkhead(4, name="database")])
    web = pipeline(Bulkhead(4, name="database"), name="web")
    assert web.bulkheads[0].statistics().max_concurrent == 4


async def test_a_call_that_would_wait_for_its_own_caller_in_another_pipeline_is_refused(
    pipeline: Callable[..., Pipeline],
) -> None:
    policy = Bulkhead(1, max_waiting=9, name="database")
    outer, inner = pipeline(policy, name="outer"), pipeline(policy, name="inner")

    @inner
    async def read() -> None: ...

    @outer
    async def report() -> None:
        await read()

    with pytest.raises(BulkheadFull, match="pipeline 'inner': .* would wait for itself"):
        await report()


async def test_settings_that_contradict_each_other_for_one_name_keep_an_app_from_starting(
    make_app: Callable[..., App[None]], tmp_path: Path
) -> None:
    file = tmp_path / "corten.toml"
    table = '[pipelines.{0}]\npolicies = [{{ policy = "bulkhead", max_concurrent = {1}, name = "db" }}]\n'
    file.write_text(table.format("web", 3) + table.format("batch", 4))
    app = make_app(config=file)
    for name in ("web", "batch"):
        app.add(Pipeline(name))
    with pytest.raises(SettingsError, match=r"bulkhead 'db' has max_concurrent=4 here and 3 in pipeline 'web'"):
        async with app:
            pass
