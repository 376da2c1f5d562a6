"""Many threads on one pipeline lose no permit and no count, and a thousand tasks leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from corten._core import Call
from corten.errors import BulkheadFull, CircuitOpen, DeadlineExceeded, RateLimited, Refused
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.functions.undecorated import Undecorated
from corten.pipeline.segments.timers import timers_of
from corten.policies import Bulkhead, Cache, CircuitBreaker, Policy, RateLimit, Retry, RetryBudget, Timeout
from corten.testing import FakeClock

THREADS = 6
ENDLESS = RateLimit("1000000000/s", burst=10**9)


@pytest.fixture(autouse=True)
def threads_take_turns_all_the_time() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def pipeline(*policies: Policy, registry: Registry | None = None, clock: FakeClock | None = None) -> Pipeline:
    return Pipeline("p", *policies, registry=registry or Registry(), clock=clock or FakeClock())


def hammer(work: Callable[[int], object]) -> None:
    """Run it in all threads, each with its number, beginning at once; an error of any is raised."""
    together = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            together.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def exposed(registry: Registry, outcome: str) -> int:
    """What the registry shows of the pipeline's calls."""
    line = f'corten_pipeline_calls_total{{outcome="{outcome}",pipeline="p"}} '
    return next(int(each.removeprefix(line)) for each in registry.render().splitlines() if each.startswith(line))


def test_a_limit_gives_out_exactly_its_tokens() -> None:
    registry = Registry()
    guard = pipeline(RateLimit("1/d", burst=1_000), registry=registry)
    let_through: Counter[int] = Counter()

    @guard
    def work(thread: int) -> None:
        let_through[thread] += 1

    refused: Counter[int] = Counter()

    def many(thread: int) -> None:
        for _ in range(500):
            try:
                work(thread)
            except RateLimited:
                refused[thread] += 1

    hammer(many)
    seen = guard.statistics()
    assert (
        let_through.total() == seen.successes == seen.rate_limits[0].admitted == exposed(registry, "success") == 1_000
    )
    assert refused.total() == seen.refused["rate_limit"] == exposed(registry, "refused") == THREADS * 500 - 1_000


def test_a_limit_for_each_key_gives_each_its_tokens() -> None:
    guard = pipeline(RateLimit("1/d", burst=50, key="key"))
    let_through: Counter[tuple[int, int]] = Counter()

    @guard
    def work(key: int, thread: int) -> None:
        let_through[key, thread] += 1

    def many(thread: int) -> None:
        keys = list(range(40)) * 20
        random.Random(thread).shuffle(keys)
        for key in keys:
            with suppress(RateLimited):
                work(key, thread)

    hammer(many)
    by_key: Counter[int] = Counter()
    for (key, _), count in let_through.items():
        by_key[key] += count
    assert by_key == dict.fromkeys(range(40), 50)


def test_a_bulkhead_never_holds_more_than_its_places_and_gets_all_of_them_back() -> None:
    guard = pipeline(Bulkhead(2))
    lock = threading.Lock()
    inside = most = 0

    @guard
    def work() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        for _ in range(50):  # long enough for other threads to come
            pass
        with lock:
            inside -= 1

    results: Counter[tuple[int, str]] = Counter()

    def many(thread: int) -> None:
        for _ in range(500):
            try:
                work()
            except BulkheadFull:
                results[thread, "full"] += 1
            else:
                results[thread, "done"] += 1

    hammer(many)
    seen = guard.statistics()
    done = sum(count for (_, result), count in results.items() if result == "done")
    assert most <= 2
    assert (seen.bulkheads[0].running, seen.bulkheads[0].waiting) == (0, 0)
    assert (seen.successes, seen.refused.get("bulkhead", 0)) == (done, THREADS * 500 - done)


def test_a_breaker_that_opens_and_closes_under_all_of_them_loses_no_trial() -> None:
    clock = FakeClock()
    guard = pipeline(CircuitBreaker(failures=3, open_for=1, half_open_calls=1), clock=clock)
    ended: Counter[tuple[int, str]] = Counter()

    @guard
    def work(fails: bool) -> None:
        if fails:
            raise OSError

    def many(thread: int) -> None:
        chance = random.Random(thread)
        for _ in range(400):
            try:
                work(chance.random() < 0.5)
            except CircuitOpen:
                ended[thread, "refused"] += 1
                clock.tick(0.25)
            except OSError:
                ended[thread, "failed"] += 1
            else:
                ended[thread, "done"] += 1

    hammer(many)

    def total(word: str) -> int:
        return sum(count for (_, each), count in ended.items() if each == word)

    seen = guard.statistics()
    assert (seen.successes, seen.errors, seen.refused.get("circuit_breaker", 0)) == (
        total("done"),
        total("failed"),
        total("refused"),
    )
    assert seen.breakers[0].opened > 0
    # A trial that was lost would keep it half open, refusing everybody, for good.
    clock.tick(1)
    for _ in range(3):
        work(False)
    assert guard.statistics().breakers[0].state == "closed"


def test_a_budget_of_retries_is_spent_once() -> None:
    guard = pipeline(
        Retry(max_attempts=2, initial_backoff=0, jitter=0, budget=RetryBudget(ratio=0.0, min_per_second=0.0, burst=100))
    )
    tries: Counter[int] = Counter()

    @guard
    def work(thread: int) -> None:
        tries[thread] += 1
        raise OSError

    def many(thread: int) -> None:
        for _ in range(100):
            with pytest.raises(OSError):
                work(thread)

    hammer(many)
    seen = guard.statistics()
    assert tries.total() - THREADS * 100 == seen.retries
    assert seen.errors == THREADS * 100
    assert seen.retries <= 100


def test_hits_of_a_cache_are_all_counted() -> None:
    registry = Registry()
    guard = pipeline(Cache(), ENDLESS, registry=registry)

    @guard
    def work(key: int) -> int:
        return key

    def many(_: int) -> None:
        for number in range(1_000):
            assert work(number % 10) == number % 10

    hammer(many)
    seen = guard.statistics()
    assert seen.hits + seen.successes == seen.calls == THREADS * 1_000
    cache = seen.caches[0]
    assert cache.results.hits + cache.joined == seen.hits == exposed(registry, "hit")
    assert seen.successes <= THREADS * 10


def test_more_functions_than_are_remembered_are_kept_for_the_next_call() -> None:
    remembered = Undecorated()

    def stay() -> None: ...

    def work(_: int) -> None:
        for _ in range(100_000):
            remembered.wrapper(object(), "call", lambda each: each)
            remembered.wrapper(stay, "call", lambda each: each)

    hammer(work)
    assert remembered.wrapper(stay, "call", lambda _: print) is stay


def test_loops_in_threads_of_their_own_share_all_policies_and_lose_nothing() -> None:
    registry = Registry()
    guard = Pipeline(
        "p",
        Cache(),
        Retry(max_attempts=3, initial_backoff=0, jitter=0, on=(OSError,)),
        CircuitBreaker(failures=10**9),
        ENDLESS,
        Bulkhead(THREADS * 20),
        Timeout(30),
        registry=registry,
    )
    attempts: Counter[tuple[int, int]] = Counter()

    @guard
    async def work(thread: int, number: int) -> int:
        attempts[thread, number] += 1
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 7 == 0 and attempts[thread, number] == 1:
            raise OSError
        if number % 11 == 0:
            raise LookupError
        return number

    async def many(thread: int) -> None:
        for start in range(0, 600, 20):
            numbers = range(start, start + 20)
            for _ in range(2):  # the second time they are hits, but for the errors
                results = await asyncio.gather(*(work(thread, each) for each in numbers), return_exceptions=True)
                for number, result in zip(numbers, results, strict=True):
                    assert result == number or (number % 11 == 0 and isinstance(result, LookupError))

    hammer(lambda thread: asyncio.run(many(thread)))
    seen = guard.statistics()
    failing = len(range(0, 600, 11))
    assert (seen.calls, seen.hits, seen.errors) == (THREADS * 1_200, THREADS * (600 - failing), THREADS * failing * 2)
    assert seen.successes == THREADS * (600 - failing)
    assert seen.retries == sum(attempts.values()) - seen.successes - seen.errors
    assert seen.bulkheads[0].running == 0
    assert exposed(registry, "hit") == seen.hits
    assert exposed(registry, "error") == seen.errors


class Payload:
    """Something that goes through a call, to be missed when it is gone."""


@pytest.mark.anyio
async def test_a_thousand_tasks_at_once_leave_nothing_behind(anyio_backend_name: str) -> None:
    # Errors that another test is parametrized with keep the frames, and so the calls, in which they were raised.
    before = [each for each in gc.get_objects() if type(each) is Call]
    clock = FakeClock()
    guard = pipeline(
        Retry(max_attempts=2, initial_backoff=1, jitter=0, on=(OSError,)),
        CircuitBreaker(failures=10**9),
        RateLimit("1000000000/s", burst=900, max_wait=0),
        Bulkhead(300, max_waiting=400),
        Timeout(5),
        clock=clock,
    )
    payloads: list[weakref.ref[Payload]] = []
    ended: Counter[str] = Counter()

    @guard
    async def work(number: int, payload: Payload) -> Payload:
        if number % 5 == 0:
            raise LookupError(number)
        if number % 5 == 1:
            await clock.sleep(1_000)  # until its time is over
        for _ in range(number % 4):
            await anyio.lowlevel.checkpoint()
        return payload

    async def caller(number: int) -> None:
        payload = Payload()
        payloads.append(weakref.ref(payload))
        try:
            assert await work(number, payload) is payload
        except (Refused, DeadlineExceeded, LookupError) as error:
            ended[type(error).__name__] += 1
        except anyio.get_cancelled_exc_class():
            ended["cancelled"] += 1
            raise
        else:
            ended["done"] += 1

    async with anyio.create_task_group() as group:
        scopes = []
        for number in range(1_000):
            scope = anyio.CancelScope()
            scopes.append(scope)

            async def scoped(number: int = number, scope: anyio.CancelScope = scope) -> None:
                with scope:
                    await caller(number)

            group.start_soon(scoped)
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()
            for scope in random.Random(1).sample(scopes, 100):
                scope.cancel()
            await clock.advance(1)
        for _ in range(20):
            await clock.advance(6)
    del scopes, scope, scoped
    assert ended.total() == 1_000
    assert all(ended[each] > 0 for each in ("done", "cancelled", "LookupError", "DeadlineExceeded", "BulkheadFull"))
    seen = guard.statistics()
    assert seen.calls == 1_000
    assert (seen.successes, seen.errors, seen.timeouts) == (
        ended["done"],
        ended["LookupError"],
        ended["DeadlineExceeded"],
    )
    assert (seen.bulkheads[0].running, seen.bulkheads[0].waiting) == (0, 0)
    if anyio_backend_name == "asyncio":
        assert len(timers_of(asyncio.get_running_loop(), clock)) == 0
    await anyio.wait_all_tasks_blocked()
    gc.collect()
    assert not [each for each in gc.get_objects() if type(each) is Call and not any(each is old for old in before)]
    assert not [each for each in payloads if each() is not None]


def test_a_call_that_the_collector_makes_while_statistics_are_read_waits_for_no_lock() -> None:
    guard = pipeline(CircuitBreaker(failures=1))
    calling = False

    @guard
    def fails() -> None:
        raise OSError

    def collected(phase: str, _: object) -> None:
        """As a finalizer would."""
        nonlocal calling
        if phase == "stop" and not calling:
            calling = True
            with suppress(OSError, Refused):
                fails()
            calling = False

    def read() -> None:
        for _ in range(100):
            guard.statistics()

    with suppress(OSError):
        fails()
    thread = threading.Thread(target=read, daemon=True)
    before = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(1)
    try:
        thread.start()
        thread.join(30)
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(collected)
    assert not thread.is_alive()
    assert guard.statistics().refused["circuit_breaker"] > 0
