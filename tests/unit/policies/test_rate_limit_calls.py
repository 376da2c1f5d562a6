"""Calls under a rate limit: by each algorithm, by key and cost, waiting in order, and what goes wrong."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from corten import RateLimit
from corten.clock import LONGEST
from corten.errors import CortenError, RateLimited
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import Retry, Timeout
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio

Make = Callable[..., Pipeline]
ALGORITHMS = ("token_bucket", "leaky_bucket", "sliding_window", "fixed_window")


@pytest.mark.parametrize(
    ("algorithm", "admitted", "retry_after"),
    [
        ("token_bucket", 5, 2.0),  # five saved up, one in each two seconds
        ("leaky_bucket", 1, 2.0),  # nothing saved up
        ("sliding_window", 5, 12.0),  # the next window begins after ten seconds; a fifth of it for one call
        ("fixed_window", 5, 10.0),
    ],
)
async def test_each_algorithm_says_after_how_long_there_is_a_token(
    clock: FakeClock, pipeline: Make, algorithm: Any, admitted: int, retry_after: float
) -> None:
    guard = pipeline(RateLimit("5/10s", algorithm=algorithm))

    @guard
    async def call() -> None: ...

    def call_sync() -> None: ...

    results = 0
    with pytest.raises(RateLimited) as caught:
        for _ in range(6):
            await call()
            results += 1
    assert (results, round(caught.value.retry_after or 0, 6)) == (admitted, retry_after)
    assert str(caught.value).startswith("pipeline 'p': rate_limit refused the call: no token is left; retry after")
    await clock.advance(retry_after)
    guarded = guard(call_sync)  # sync functions count in the same limit
    guarded()
    with pytest.raises(RateLimited):
        for _ in range(5):
            guarded()
    seen = guard.statistics()
    assert seen.refused == {"rate_limit": 2}
    assert seen.rate_limits[0].refused == 2
    assert seen.rate_limits[0].admitted == seen.successes > admitted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_who_may_wait_waits_in_order_and_no_longer_than_allowed(
    clock: FakeClock, pipeline: Make, algorithm: Any
) -> None:
    guard = pipeline(RateLimit("1/s", max_wait=10, algorithm=algorithm))
    order: list[tuple[int, float]] = []
    began = clock.now()

    @guard
    async def call(number: int) -> None:
        order.append((number, round(clock.now() - began, 6)))

    refused: list[float] = []

    async def caller(number: int) -> None:
        try:
            await call(number)
        except RateLimited as error:
            refused.append(error.retry_after or 0)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(caller, number)
            await anyio.wait_all_tasks_blocked()  # trio starts tasks in any order
        for _ in range(30):
            await clock.advance(1.0)
    assert [number for number, _ in order] == list(range(len(order)))
    assert all(time <= 10 for _, time in order)
    assert len(order) + len(refused) == 20
    assert min(refused) > 10
    assert len(order) == (6 if algorithm == "sliding_window" else 11)
    if algorithm == "leaky_bucket":
        assert [time for _, time in order] == list(range(11))


async def test_ten_thousand_wait_and_are_served_first_in_first_out(clock: FakeClock, pipeline: Make) -> None:
    guard = pipeline(RateLimit("1000/s", burst=1, max_wait=60))
    arrived: list[int] = []
    served: list[int] = []

    @guard
    async def call(number: int) -> None:
        served.append(number)

    async def caller(number: int) -> None:
        arrived.append(number)
        await call(number)

    async with anyio.create_task_group() as group:
        for number in range(10_000):
            group.start_soon(caller, number)
        await anyio.wait_all_tasks_blocked()
        assert served == arrived[:1]
        for second in range(10):
            before = len(served)
            clock.tick(1)
            await anyio.wait_all_tasks_blocked()
            # Those of one moment run in any order on trio.
            assert set(served[before:]) == set(arrived[before : second * 1_000 + 1_001])
    assert sorted(served) == list(range(10_000))
    assert guard.statistics().rate_limits[0].waited == 9_999


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_clock_that_jumps_gives_no_more_than_one_burst(
    clock: FakeClock, pipeline: Make, algorithm: Any
) -> None:
    guard = pipeline(RateLimit("5/min", algorithm=algorithm))

    @guard
    async def call() -> None: ...

    async def admitted() -> int:
        done = 0
        for _ in range(20):
            try:
                await call()
                done += 1
            except RateLimited:
                pass
        return done

    most = 1 if algorithm == "leaky_bucket" else 5
    assert await admitted() == most
    for _ in range(3):
        clock.tick(3600)
        assert await admitted() == most


async def test_keys_and_costs_come_from_parameters_or_functions(pipeline: Make) -> None:
    def tenant(user: str, size: int = 1) -> str:
        return user.split("@")[1]

    guard = pipeline(RateLimit("10/h", key=tenant, cost="size"), RateLimit("3/h", key="user", cost=lambda *_, **__: 3))
    seen: list[tuple[str, int]] = []

    @guard
    async def send(user: str, size: int = 1) -> None:
        seen.append((user, size))

    await send("ann@a", 4)
    with pytest.raises(RateLimited):
        await send("ann@a", 0)  # her own limit is used up by the cost of three
    await send("bob@a", size=6)
    with pytest.raises(RateLimited):
        await send("eve@a")  # ten were used by her tenant
    await send("eve@b")
    with pytest.raises(RateLimited, match="costs more tokens than the limit ever holds") as caught:
        await send("joe@b", 11)
    assert caught.value.retry_after is None
    assert seen == [("ann@a", 4), ("bob@a", 6), ("eve@b", 1)]


class Unhappy:
    def __hash__(self) -> int:
        raise RuntimeError("no hash today")


async def test_what_goes_wrong_with_keys_and_costs_is_raised_and_nothing_is_taken(pipeline: Make) -> None:
    def failing(key: object, cost: object) -> object:
        if key == "fail":
            raise LookupError("no such tenant")
        return key

    guard = pipeline(RateLimit("10/h", key=failing, cost="cost"))
    made = 0

    @guard
    async def call(key: object, cost: object) -> None:
        nonlocal made
        made += 1

    @guard
    def call_sync(key: object, cost: object) -> None:
        nonlocal made
        made += 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a coroutine that nobody awaited
        for key, cost, error, words in (
            ("fail", 1, LookupError, "no such tenant"),
            ([], 1, TypeError, "unhashable"),
            (Unhappy(), 1, RuntimeError, "no hash today"),
            ("a", -1, ValueError, "a call costs -1; it must cost a whole number, 0 or more"),
            ("a", 1.5, ValueError, "a call costs 1.5"),
            ("a", "much", ValueError, "a call costs 'much'"),
            ("a", None, ValueError, "a call costs None"),
            ("a", 2**70, ValueError, "it must cost a whole number"),
        ):
            with pytest.raises(error, match=words):
                await call(key, cost)
            with pytest.raises(error, match=words):
                call_sync(key, cost)
        gc.collect()
    assert made == 0
    assert guard.rate_limits[0].statistics().admitted == 0
    await call("a", 0)  # what costs nothing is let through


@pytest.mark.parametrize("field", ["key", "cost"])
async def test_a_parameter_that_is_none_is_said_at_decoration(pipeline: Make, field: str) -> None:
    async def call(user: str) -> None: ...

    with pytest.raises(ValueError, match=r"rate_limit .* 'usr', which is no parameter of .*call: it has user"):
        pipeline(RateLimit("1/s", **{field: "usr"}))(call)  # type: ignore[arg-type]


async def test_a_limit_is_looked_at_and_steered_while_it_runs(clock: FakeClock, pipeline: Make) -> None:
    guard = pipeline(RateLimit("1/s", burst=4), RateLimit("10/min", key="user", algorithm="fixed_window", max_keys=100))

    @guard
    async def call(user: str) -> None: ...

    for _ in range(3):
        await call("ann")
    bucket, window = guard.rate_limits
    assert (bucket.keyed, window.keyed, bucket.rate, bucket.burst) == (False, True, 1.0, 4)
    assert (bucket.tokens(), window.tokens(key="ann"), window.tokens(key="bob")) == (1.0, 7.0, 10.0)
    assert (bucket.estimate(), bucket.estimate(2), window.estimate(10, key="bob")) == (0.0, 1.0, 0.0)
    assert window.estimate(10, key="ann") > 0
    bucket.add_tokens(2)
    window.add_tokens(1, key="ann")
    assert (bucket.tokens(), window.tokens(key="ann")) == (3.0, 8.0)
    bucket.replace("100/s", 50)
    window.replace("20/min")
    assert (round(bucket.tokens(), 6), bucket.burst, window.tokens(key="ann")) == (3.0, 50, 18.0)
    with pytest.raises(ValueError, match="leave burst out"):
        window.replace("20/min", 3)
    await clock.advance(1)
    assert bucket.tokens() == 50
    assert "50.0 tokens" in repr(bucket)
    assert window.statistics().live == 1
    assert window.statistics().capacity == 100


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_new_policies_keep_what_was_counted_where_it_is_counted_alike(pipeline: Make, algorithm: Any) -> None:
    guard = pipeline(RateLimit("5/h", algorithm=algorithm))

    @guard
    async def call(user: str) -> None: ...

    await call("ann")
    assert guard.rate_limits[0].tokens() == 4.0
    guard.configure([RateLimit("6/h", algorithm=algorithm)])
    # Tokens stay; in a queue the time of the last one stays, 720 s ahead; in windows what was used.
    kept = {"token_bucket": 4.0, "leaky_bucket": 6 - 720 / 600}.get(algorithm, 5.0)
    assert guard.rate_limits[0].tokens() == pytest.approx(kept, abs=1e-6)
    for other in (
        RateLimit("6/h", algorithm="token_bucket" if algorithm != "token_bucket" else "fixed_window"),
        RateLimit("6/h", algorithm=algorithm, key="user"),
        RateLimit("6/h", algorithm=algorithm, key="user", max_keys=7),
    ):
        guard.configure([other])
        assert guard.rate_limits[0].tokens(key="ann") == 6.0
        await call("ann")
        assert guard.rate_limits[0].tokens(key="ann") == 5.0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_who_gives_up_waiting_gives_back_what_nobody_stands_behind(
    clock: FakeClock, pipeline: Make, algorithm: Any
) -> None:
    guard = pipeline(RateLimit("2/s", burst=None, max_wait=60, algorithm=algorithm))

    @guard
    async def call() -> None: ...

    for _ in range(2 if algorithm != "leaky_bucket" else 1):
        await call()
    limit = guard.rate_limits[0]
    before = limit.estimate()
    async with anyio.create_task_group() as group:
        scopes = [anyio.CancelScope() for _ in range(3)]

        async def waiting(scope: anyio.CancelScope) -> None:
            with scope:
                await call()

        for scope in scopes:
            group.start_soon(waiting, scope)
            await anyio.wait_all_tasks_blocked()
        for scope in reversed(scopes):
            scope.cancel()
            await anyio.wait_all_tasks_blocked()
    assert guard.statistics().cancelled == 3
    assert limit.estimate() <= before + (1.5 if "window" in algorithm else 0)  # windows forget what is two ahead
    await clock.advance(60)
    assert limit.estimate() == 0.0


async def test_cancelled_at_each_await_it_leaks_nothing(pipeline: Make) -> None:
    guard = pipeline(Timeout(50), Retry(initial_backoff=0), RateLimit("1000/h", key="user", algorithm="sliding_window"))

    @guard
    async def call(user: str) -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()

    await cancel_at_each_await(lambda: call("ann"))
    seen = guard.statistics()
    assert seen.rate_limits[0].admitted <= seen.calls
    assert seen.successes == 1


async def test_nothing_is_waited_for_beyond_a_deadline(clock: FakeClock, pipeline: Make) -> None:
    guard = pipeline(Timeout(2), RateLimit("1/s", max_wait=60, algorithm="leaky_bucket"))

    @guard
    async def call() -> float:
        return clock.now()

    began = clock.now()
    times: list[float] = []
    refused = 0

    async def caller() -> None:
        nonlocal refused
        try:
            times.append(await call() - began)
        except RateLimited:
            refused += 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(caller)
        await anyio.wait_all_tasks_blocked()
        assert refused == 2  # at once: they could not be served within two seconds
        await clock.advance(1.5)
        assert times == [0.0, 1.0]
        group.cancel_scope.cancel()


def test_a_sync_function_blocks_its_thread_or_says_why_not(clock: FakeClock, pipeline: Make) -> None:
    guard = pipeline(RateLimit("1/s", max_wait=5, algorithm="leaky_bucket"))
    began = clock.now()

    @guard
    def call() -> float:
        return round(clock.now() - began, 6)

    assert [call() for _ in range(3)] == [0.0, 1.0, 2.0]

    async def inside() -> None:
        with pytest.raises(CortenError, match="make it async, or call it in a worker thread"):
            call()

    anyio.run(inside)
    assert LONGEST > 0


async def test_its_counts_are_metrics(pipeline: Make, registry: Registry) -> None:
    @pipeline(RateLimit("1/h"), RateLimit("1/h", key="user", max_keys=50), name="users")
    async def call(user: str) -> None: ...

    await call("ann")
    with pytest.raises(RateLimited):
        await call("bob")
    text = registry.render()
    assert 'corten_rate_limit_admitted_total{pipeline="users",place="0"} 1' in text
    assert 'corten_rate_limit_refused_total{pipeline="users",place="0"} 1' in text
    assert 'corten_rate_limit_live{pipeline="users",place="1"} 1' in text
    assert 'corten_rate_limit_capacity{pipeline="users",place="1"} 50' in text


def test_threads_lose_no_count(pipeline: Make) -> None:
    guard = pipeline(RateLimit("500/h", algorithm="sliding_window"), RateLimit("100/h", key="who"))

    @guard
    def call(who: int) -> None: ...

    done: list[int] = []

    def hammer() -> None:
        mine = 0
        for number in range(1_000):
            try:
                call(number % 10)
                mine += 1
            except RateLimited:
                pass
        done.append(mine)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = guard.statistics()
    assert sum(done) == 500 == seen.successes
    assert seen.calls == 4_000
    assert [each.admitted + each.refused for each in seen.rate_limits] == [4_000, 500]
