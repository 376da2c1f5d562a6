"""The cache as a policy: keys, single flight, the shared tier."""

from __future__ import annotations

import gc
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import anyio
import msgspec
import pytest

from corten.errors import CortenError
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.layers.cache.function_cache import FunctionCache
from corten.pipeline.pipeline import runtime_of
from corten.policies import Cache, RateLimit, Retry
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


class User(msgspec.Struct):
    name: str


class Work:
    """Counts its calls; each waits at a gate."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = anyio.Event()
        self.error: Exception | None = None

    async def __call__(self, key: object = 1) -> int:
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return number


async def test_a_hit_costs_no_token_and_ends_with_its_time(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    calls = []

    @pipeline(Cache(ttl=60), RateLimit("1/min", burst=1))
    async def load(user: int) -> int:
        calls.append(user)
        return user

    for _ in range(5):
        assert await load(7) == 7
    clock.tick(60)
    assert await load(7) == 7
    assert calls == [7, 7]


async def test_none_is_a_value(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache())

    @guard
    async def nothing() -> None:
        return None

    assert await nothing() is await nothing() is None
    assert guard.statistics().hits == 1


async def test_each_function_has_a_cache_of_its_own(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache())

    @guard
    async def double(x: int) -> int:
        return 2 * x

    @guard
    async def triple(x: int) -> int:
        return 3 * x

    assert (await double(1), await triple(1)) == (2, 3)


async def test_an_unhashable_argument_is_named(pipeline: Callable[..., Pipeline]) -> None:
    class Users:
        @pipeline(Cache())
        async def load(self, tenant: str, ids: list[int]) -> int:
            return len(ids)

    with pytest.raises(TypeError, match=r"Users\.load: argument 'ids' of type list can't be part of a cache's key"):
        await Users().load("a", [1])


async def test_calls_for_the_same_key_share_one(pipeline: Callable[..., Pipeline]) -> None:
    guard, work = pipeline(Cache()), Work()
    guarded = guard(work)
    results: list[int] = []

    async def run(key: int) -> None:
        results.append(await guarded(key))

    async with anyio.create_task_group() as group:
        for key in (1, 1, 1, 2):
            group.start_soon(run, key)
        await anyio.wait_all_tasks_blocked()
        assert work.calls == 2
        work.gate.set()
    assert sorted(Counter(results).values()) == [1, 3]
    seen = guard.statistics()
    assert (seen.calls, seen.successes, seen.hits, seen.misses) == (4, 2, 2, 2)


async def test_an_error_goes_to_all_who_wait_and_is_not_kept(pipeline: Callable[..., Pipeline]) -> None:
    guard, work = pipeline(Cache()), Work()
    guarded = guard(work)
    work.error = KeyError("gone")
    frames: list[int] = []

    async def run() -> None:
        with pytest.raises(KeyError, match="gone") as caught:
            await guarded()
        frames.append(len(traceback.extract_tb(caught.value.__traceback__)))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        work.gate.set()
    assert work.calls == 1
    assert max(frames) <= 4
    assert guard.statistics().errors == 3
    work.error = None
    assert await guarded() == 2


async def test_when_the_first_caller_is_cancelled_the_next_waiter_takes_over(pipeline: Callable[..., Pipeline]) -> None:
    work = Work()
    guarded = pipeline(Cache())(work)
    results: list[int] = []

    async def run() -> None:
        results.append(await guarded())

    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as first:
            first.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(run)
            group.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            first.cancel_scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert work.calls == 2
        work.gate.set()
    assert results == [2, 2]


async def test_a_cancelled_waiter_leaves_the_others_alone(pipeline: Callable[..., Pipeline]) -> None:
    work = Work()
    guarded = pipeline(Cache())(work)
    results: list[int] = []

    async def run() -> None:
        results.append(await guarded())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as second:
            second.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            second.cancel_scope.cancel()
        work.gate.set()
    assert results == [1]


async def test_inside_another_policy_a_hit_costs_what_stands_before_it(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(RateLimit("1/min", burst=2), Cache(), Retry(initial_backoff=0))

    @guard
    async def load(x: int) -> int:
        return x

    assert await load(1) + await load(1) == 2
    with pytest.raises(Exception, match="rate_limit refused"):
        await load(1)
    seen = guard.statistics()
    assert (seen.calls, seen.successes, seen.hits) == (3, 2, 0)
    assert seen.refused == {"rate_limit": 1}


async def test_sync_functions_are_cached_too(pipeline: Callable[..., Pipeline]) -> None:
    calls = []

    @pipeline(Cache(max_entries=2), Retry(initial_backoff=0))
    def compute(x: int, *, y: int = 2) -> int:
        calls.append(x)
        return x * y

    assert compute(3) == compute(3) == 6
    assert compute(3, y=3) == 9
    assert calls == [3, 3]


async def test_results_go_with_the_function(pipeline: Callable[..., Pipeline]) -> None:
    class Result:
        pass

    async def answer_and_forget() -> weakref.ref[Result]:
        @pipeline(Cache(), Retry(on=(KeyError,)))
        async def answer() -> Result:
            return Result()

        return weakref.ref(await answer())

    gone = await answer_and_forget()
    gc.collect()
    assert gone() is None


class Tier:
    """A shared tier in memory."""

    name = "memory"

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.ttls: list[float | None] = []

    async def get(self, key: str) -> bytes | None:
        await anyio.lowlevel.checkpoint()
        return self.data.get(key)

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        await anyio.lowlevel.checkpoint()
        self.data[key] = value
        self.ttls.append(ttl)

    async def delete(self, key: str) -> None:
        self.data.pop(key, None)


def bound(tier: Tier, clock: FakeClock, **options: Any) -> Pipeline:
    made = Pipeline("users", Cache(ttl=60, shared=True, **options), clock=clock, registry=Registry())
    runtime_of(made).bind(owner=object(), clock=clock, registry=Registry(), tiers=[tier])
    return made


async def test_a_shared_result_is_read_by_another_process_as_the_type_it_was(clock: FakeClock) -> None:
    tier, calls = Tier(), []

    async def load(user: int) -> User:
        calls.append(user)
        return User(f"u{user}")

    first, second = bound(tier, clock), bound(tier, clock)
    assert await first(load)(7) == User("u7")
    assert await second(load)(7) == User("u7")
    assert await second(load)(8) == User("u8")
    assert calls == [7, 8]
    assert tier.ttls == [60, 60]
    assert second.statistics().hits == 1
    assert all(key.startswith("corten:users:") for key in tier.data)


async def test_what_cannot_be_read_or_has_another_version_is_a_miss(clock: FakeClock) -> None:
    tier, calls = Tier(), []

    async def load(user: int) -> User:
        calls.append(user)
        return User("x")

    await bound(tier, clock)(load)(7)
    await bound(tier, clock, version=2)(load)(7)
    for key in tier.data:
        tier.data[key] = b"\xc1 not msgpack"
    assert await bound(tier, clock)(load)(7) == User("x")
    assert calls == [7, 7, 7]


async def test_what_cannot_be_written_stays_in_this_process(clock: FakeClock) -> None:
    tier = Tier()

    async def load(user: int) -> object:
        return object()

    guarded = bound(tier, clock)(load)
    assert await guarded(7) is await guarded(7)
    assert tier.data == {}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ttl": 0}, "ttl is 0"),
        ({"max_entries": 0}, "max_entries is 0"),
        ({"eviction": "fifo"}, "there are 's3fifo' and 'lru'"),
    ],
)
def test_impossible_policies_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"cache: .*{words}"):
        Cache(**wrong)


async def test_parameters_may_be_called_what_the_key_is_made_with(pipeline: Callable[..., Pipeline]) -> None:
    async def find(query: str, sorted: bool = True, **filters: int) -> tuple[Any, ...]:  # noqa: A002
        return query, sorted, filters

    guarded = pipeline(Cache())(find)
    assert await guarded("a", False, x=1, y=2) == ("a", False, {"x": 1, "y": 2})
    assert await guarded("a", False, y=2, x=1) is await guarded(query="a", sorted=False, x=1, y=2)


async def test_a_pair_is_no_keyword_argument(pipeline: Callable[..., Pipeline]) -> None:
    class Opaque:
        __signature__ = "none that can be read"

        async def __call__(self, *args: object, **kwargs: object) -> str:
            return f"{args} {kwargs}"

    guarded: Any = pipeline(Cache())(Opaque())
    assert await guarded(("a", 1)) == "(('a', 1),) {}"
    assert await guarded(a=1) == "() {'a': 1}"


async def test_arguments_that_json_writes_alike_are_not_mixed_up_in_the_shared_tier(clock: FakeClock) -> None:
    tier = Tier()

    async def kind(value: object) -> str:
        return f"{value!r}"

    values = [
        "YWJj", b"abc", None, float("inf"), float("nan"), 1, True, "1", 1.5, Decimal("1.5"), "1.5", (1,), "[1]",
        date(2013, 1, 1), "2013-01-01", frozenset((1, 2)), (1, 2),
    ]  # fmt: skip
    for value in values:
        assert await bound(tier, clock)(kind)(value) == repr(value)
    assert len(tier.data) == len(values)
    for value in values:
        assert await bound(tier, clock)(kind)(value) == repr(value)


class RememberingTier(Tier):
    """Knows tags as well."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, set[str]] = {}

    async def set_tagged(self, key: str, value: bytes, ttl: float | None, tags: Sequence[str]) -> None:
        await self.set(key, value, ttl)
        self.tags[key] = set(tags)

    async def delete_tagged(self, tag: str) -> None:
        for key in [key for key, tags in self.tags.items() if tag in tags]:
            self.data.pop(key, None)

    async def delete_where(
        self, prefix: str, key_wanted: Callable[[str], bool], tag_wanted: Callable[[str], bool]
    ) -> None:
        for key in [key for key in self.data if key.startswith(prefix)]:
            tags = self.tags.get(key, set())
            if key_wanted(key.removeprefix(prefix)) or any(tag_wanted(tag.removeprefix(prefix)) for tag in tags):
                del self.data[key]


async def test_invalidation_reaches_the_shared_tier(clock: FakeClock) -> None:
    tier = RememberingTier()
    guard = bound(tier, clock, tags=("user:{user}", "all"))

    @guard
    async def load(user: int, locale: str = "en") -> str:
        return locale

    async def keys() -> list[str]:
        for user in (1, 2, 33):
            await load(user)
        found = sorted(key.rpartition(":v1:")[2] for key in tier.data)
        assert found == ['[1,"en"]', '[2,"en"]', '[33,"en"]']
        return found

    cache = guard.cache(load)
    await keys()
    await cache.invalidate(1)
    assert len(tier.data) == 2
    await keys()
    await cache.invalidate_tag("user:2")
    assert len(tier.data) == 2
    await keys()
    await cache.invalidate_matching("user:?")
    assert [key.rpartition(":v1:")[2] for key in tier.data] == ['[33,"en"]']
    await keys()
    await cache.invalidate_matching("3*:en")
    assert len(tier.data) == 2
    await keys()
    await cache.clear()
    assert tier.data == {}
    await cache.set("by hand", 7)
    assert [key.rpartition(":v1:")[2] for key in tier.data] == ['[7,"en"]']
    assert guard.statistics().caches[0].shared_hits == 0
    assert await bound(tier, clock, tags=("user:{user}", "all"))(load.__wrapped__)(7) == "by hand"  # type: ignore[attr-defined]


async def test_a_tier_that_knows_no_tags_is_refused_where_results_have_some(clock: FakeClock) -> None:
    async def load(user: int) -> int:
        return user

    tier = Tier()
    guard = Pipeline("users", Cache(ttl=60, shared=True, tags=("user:{user}",)), clock=clock, registry=Registry())
    load = guard(load)
    with pytest.raises(
        ValueError, match="cache has tags and is shared, and the shared tier 'memory' does not know tags"
    ):
        runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), tiers=[tier])
    guard = bound(tier, clock)
    cache = guard.cache(guard(load))
    with pytest.raises(CortenError, match="the shared tier 'memory' does not know patterns"):
        await cache.clear()


async def test_results_are_shared_as_long_as_they_are_kept(clock: FakeClock) -> None:
    tier = Tier()
    guard = bound(tier, clock, ttl_of=lambda result: {1: 5, 2: float("inf"), 3: None, 4: 0}[result], negative_ttl=7)

    @guard
    async def load(user: int) -> int | None:
        return user or None

    for user in (0, 1, 2, 3, 4):
        await load(user)
    assert tier.ttls == [7, 5, None, 60]


async def test_cancelled_anywhere_a_shared_call_leaves_nothing_under_way(clock: FakeClock) -> None:
    tier = RememberingTier()
    guard = bound(tier, clock, tags=("user:{user}",), stale=60, hard_timeout=60)

    @guard
    async def load(user: int) -> int:
        await anyio.lowlevel.checkpoint()
        return user

    cache = guard.cache(load)

    async def operation() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(load, 1)
        await cache.invalidate(1)
        await cache.invalidate_tag("user:1")
        await cache.clear()

    def nothing_is_under_way() -> None:
        assert cache.statistics().under_way == 0

    assert await cancel_at_each_await(operation, nothing_is_under_way) >= 3
    assert tier.data == {}


async def test_policies_replaced_again_and_again_leave_nothing_behind(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache())

    @guard
    async def load(key: int) -> int:
        return key

    def layers() -> int:
        gc.collect()
        return sum(isinstance(each, FunctionCache) for each in gc.get_objects())

    guard.configure([Cache(version=1)])
    few = layers()
    for version in range(9):
        guard.configure([Cache(version=version)])
        await load(version)
    assert layers() == few
