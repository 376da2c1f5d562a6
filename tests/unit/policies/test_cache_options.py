"""How long the cache keeps which result: by key, time to live, negative results, tags; and how it forgets."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from corten import App
from corten.errors import CortenError
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import Cache, RateLimit, Retry
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


class Users:
    """Counts what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.answer: Callable[[int], Any] = lambda user: f"user {user}"

    async def load(self, user: int, locale: str = "en") -> Any:
        self.calls.append(user)
        return self.answer(user)


async def test_a_timedelta_is_a_time_to_live(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    load = pipeline(Cache(ttl=timedelta(minutes=1)))(users.load)
    await load(1)
    clock.tick(59)
    await load(1)
    clock.tick(1)
    await load(1)
    assert users.calls == [1, 1]


async def test_a_result_may_say_how_long_it_is_good(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    users.answer = lambda user: {1: 5, 2: timedelta(seconds=20), 3: None, 4: 0, 5: math.inf}[user]
    load = pipeline(Cache(ttl=10, ttl_of=lambda result: result))(users.load)
    for _ in range(2):
        for user in (1, 2, 3, 4, 5):
            await load(user)
    assert users.calls == [1, 2, 3, 4, 5, 4]
    users.calls.clear()
    for seconds in (5, 5, 10):
        clock.tick(seconds)
        for user in (1, 2, 3, 5):
            await load(user)
    assert users.calls == [1, 1, 3, 1, 2, 3]


async def test_negative_results_have_a_time_of_their_own(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    users.answer = lambda user: None if user < 0 else user
    load = pipeline(Cache(ttl=60, negative_ttl=5))(users.load)
    for user in (-1, 1, -1, 1):
        await load(user)
    clock.tick(5)
    assert (await load(-1), await load(1)) == (None, 1)
    assert users.calls == [-1, 1, -1]


async def test_what_is_negative_can_be_said_and_not_be_kept(pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    users.answer = lambda user: [user] if user > 0 else []
    load = pipeline(Cache(ttl=60, negative_ttl=0, negative=lambda result: not result))(users.load)
    for user in (0, 1, 0, 1):
        await load(user)
    assert users.calls == [0, 1, 0]


@pytest.mark.parametrize("key", [("user",), "user", lambda user, locale="en": user])
async def test_the_key_can_be_some_parameters_or_made_of_them(pipeline: Callable[..., Pipeline], key: Any) -> None:
    users = Users()
    load = pipeline(Cache(key=key))(users.load)
    assert await load(1, "de") is await load(1, locale="fr") is await load(user=1)
    assert users.calls == [1]


async def test_parameters_in_the_key_may_be_collecting_ones(pipeline: Callable[..., Pipeline]) -> None:
    calls = []

    async def find(query: str, *terms: str, **filters: int) -> None:
        calls.append(query)

    by_terms = pipeline(Cache(key=("terms",)))(find)
    await by_terms("a", "x", "y")
    await by_terms("b", "x", "y", z=1)
    by_filters = pipeline(Cache(key=("filters", "query")))(find)
    await by_filters("c", a=1, b=2)
    await by_filters("c", "other", b=2, a=1)
    assert calls == ["a", "c"]


async def test_an_instance_can_be_part_of_the_key(pipeline: Callable[..., Pipeline]) -> None:
    class Tenant:
        guard = pipeline(Cache(key=("self", "user")))

        @guard
        async def load(self, user: int, _verbose: bool = False) -> object:
            return object()

    one, other = Tenant(), Tenant()
    assert await one.load(1) is await one.load(1, True)
    assert await one.load(1) is not await other.load(1)


async def test_a_key_function_that_raises_is_the_callers_business(pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    load = pipeline(Cache(key=lambda user, locale="en": 1 // user))(users.load)
    with pytest.raises(ZeroDivisionError):
        await load(0)
    assert users.calls == []
    unhashable = pipeline(Cache(key=lambda user, locale="en": [user]))(users.load)
    with pytest.raises(TypeError, match=r"load: the cache's key function returned an unhashable list"):
        await unhashable(1)


async def test_the_unhashable_one_of_named_parameters_is_named(pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    load = pipeline(Cache(key=("locale", "user")))(users.load)
    with pytest.raises(TypeError, match="argument 'user' of type list can't be part of a cache's key"):
        await load([1])  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["ttl_of", "tags", "negative"])
async def test_a_function_of_the_user_that_fails_costs_nobody_the_result(
    pipeline: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture, field: str
) -> None:
    def fail(*_: object) -> Any:
        raise KeyError("oops")

    users = Users()
    options: dict[str, Any] = {field: fail, "ttl": 60}
    if field == "negative":
        options["negative_ttl"] = 5
    guard = pipeline(Cache(**options))
    load = guard(users.load)
    assert [await load(1), await load(1)] == ["user 1"] * 2
    assert users.calls == [1, 1]
    assert guard.cache(load).statistics().callback_errors == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert f"the cache's {field} failed on a result, which is not kept" in caplog.text


@pytest.mark.parametrize(
    ("field", "gives"), [("ttl_of", "soon"), ("ttl_of", math.nan), ("tags", "a"), ("tags", [1]), ("tags", ["a"] * 65)]
)
async def test_what_a_function_of_the_user_must_not_give_is_an_error_of_its(
    pipeline: Callable[..., Pipeline], field: str, gives: Any
) -> None:
    options: dict[str, Any] = {"ttl": 60, field: lambda *_: gives}
    guard = pipeline(Cache(**options))
    load = guard(Users().load)
    assert await load(1) == "user 1"
    assert guard.cache(load).statistics().callback_errors == 1


async def test_results_are_invalidated_by_arguments_tag_and_pattern(pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    guard = pipeline(Cache(tags=("user:{user}", "locale:{locale}", "{{all}}")))
    load = guard(users.load)
    cache = guard.cache(load)

    async def made() -> list[int]:
        users.calls.clear()
        for user in (1, 2):
            for locale in ("en", "de"):
                await load(user, locale)
        return list(users.calls)

    assert await made() == [1, 1, 2, 2]
    assert await made() == []
    assert (await cache.invalidate(1), await cache.invalidate(1), await cache.invalidate(user=2, locale="de")) == (
        True, False, True,
    )  # fmt: skip
    assert await made() == [1, 2]
    assert (await cache.invalidate_tag("user:2"), await cache.invalidate_tag("user:2")) == (2, 0)
    assert await made() == [2, 2]
    assert await cache.invalidate_matching("locale:d?") == 2
    assert await made() == [1, 2]
    assert await cache.invalidate_matching("2:*") == 2  # by key: the arguments with a colon between them
    assert await made() == [2, 2]
    assert await cache.invalidate_tag("{all}") == 4
    assert await made() == [1, 1, 2, 2]
    await cache.clear()
    assert await made() == [1, 1, 2, 2]
    with pytest.raises(ValueError, match="ends with a single backslash"):
        await cache.invalidate_matching("\\")


async def test_tags_can_be_made_of_the_result(pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    guard = pipeline(Cache(tags=lambda result, user, locale="en": {f"name:{result}", f"locale:{locale}"}))
    load = guard(users.load)
    await load(1)
    await load(2, locale="de")
    cache = guard.cache(load)
    assert await cache.invalidate_tag("name:user 1") == 1
    assert await cache.invalidate_tag("locale:de") == 1


async def test_a_template_looks_nothing_up_in_what_it_names(pipeline: Callable[..., Pipeline]) -> None:
    for template in ("{user.name}", "{user[0]}", "{user!r}", "{user:>9}", "{0}", "{}", "{user", "}"):
        with pytest.raises(ValueError, match=r"cache: tags has .*, which can't be read: .*; write it as 'user:"):
            Cache(tags=(template,))
    with pytest.raises(ValueError, match=r"cache has the tag 'a:\{b\}' by 'b', which is no parameter of"):
        pipeline(Cache(tags=("a:{b}",)))(Users().load)


async def test_what_is_invalidated_while_it_is_made_is_neither_kept_nor_joined(
    pipeline: Callable[..., Pipeline],
) -> None:
    for forget in ("key", "tag", "pattern", "clear"):
        gates = [anyio.Event(), anyio.Event()]
        made: list[int] = []
        guard = pipeline(Cache(key=("user",), tags=("user:{user}",)))

        @guard
        async def load(user: int, made: list[int] = made, gates: list[anyio.Event] = gates) -> int:
            made.append(user)
            number = len(made)
            await gates[number - 1].wait()
            return number

        cache = guard.cache(load)
        results: dict[str, int] = {}

        async def run(name: str, load: Any = load, results: dict[str, int] = results) -> None:
            results[name] = await load(7)

        async with anyio.create_task_group() as group:
            group.start_soon(run, "before")
            await anyio.wait_all_tasks_blocked()
            if forget == "key":
                await cache.invalidate(7)
            elif forget == "tag":
                await cache.invalidate_tag("user:7")
            elif forget == "pattern":
                await cache.invalidate_matching("user:*")
            else:
                await cache.clear()
            group.start_soon(run, "after")
            await anyio.wait_all_tasks_blocked()
            gates[1].set()
            await anyio.wait_all_tasks_blocked()
            gates[0].set()
        assert results == {"before": 1, "after": 2}, forget
        assert await load(7) == 2, forget
        assert cache.statistics().under_way == 0


async def test_a_cache_is_looked_into_and_filled_by_hand(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    guard = pipeline(Cache(ttl=10, tags=("user:{user}",)))
    load = guard(users.load)
    cache = guard.cache(load)
    assert await cache.get(1) is None
    await cache.set("by hand", 1)
    assert (await cache.get(1), await load(1), users.calls) == ("by hand", "by hand", [])
    seen = cache.statistics()
    assert (seen.results.hits, seen.results.misses, seen.results.tags) == (1, 0, 1)
    clock.tick(10)
    assert await cache.get(1) is None
    assert repr(cache) == "<cache of Users.load: 1 results, 100% hits>"


async def test_a_bound_method_stands_for_its_instance(pipeline: Callable[..., Pipeline]) -> None:
    class Tenants:
        guard = pipeline(Cache(key=("self", "user")))

        @guard
        async def load(self, user: int) -> object:
            return object()

    one, other = Tenants(), Tenants()
    first = await one.load(1)
    assert await Tenants.guard.cache(one.load).get(1) is first
    assert await Tenants.guard.cache(Tenants.load).get(one, 1) is first
    assert await Tenants.guard.cache(other.load).get(1) is None
    assert await Tenants.guard.cache(one.load).invalidate(1)


async def test_warming_goes_through_the_policies_and_survives_errors(pipeline: Callable[..., Pipeline]) -> None:
    running: list[int] = []
    most: list[int] = []
    guard = pipeline(Cache(), Retry(max_attempts=2, initial_backoff=0))

    @guard
    async def load(user: int, locale: str = "en") -> int:
        running.append(user)
        most.append(len(running))
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        running.remove(user)
        if user == 3:
            raise KeyError(user)
        return user

    cache = guard.cache(load)
    warming = await cache.warm([1, (2,), 3, (4, "de"), *range(10, 30)], concurrency=4)
    assert (warming.succeeded, warming.failed, repr(warming.error)) == (23, 1, "KeyError(3)")
    assert max(most) == 4
    assert (await cache.get(4, "de"), await cache.get(3)) == (4, None)

    async def some() -> Any:
        yield 1
        yield (99,)

    assert (await cache.warm(some())).succeeded == 2
    assert await cache.get(99) == 99
    with pytest.raises(ValueError, match="concurrency is 0"):
        await cache.warm([], concurrency=0)


async def test_who_has_no_cache_or_is_not_guarded_is_told(pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    guard = pipeline(RateLimit("1/s"))
    load = guard(users.load)
    with pytest.raises(CortenError, match="pipeline 'p' has no cache: its policies have no Cache among them"):
        guard.cache(load)
    with pytest.raises(ValueError, match=r"pipeline 'p' does not guard 'Work"):
        pipeline(Cache()).cache(WorkThatNobodyGuards.load)


class WorkThatNobodyGuards:
    async def load(self) -> None: ...


async def test_sync_functions_have_the_same_verbs_without_awaiting(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache(tags=("x:{x}",), key=("x",)))

    @guard
    def double(x: int, _verbose: bool = False) -> int:
        if x == 3:
            raise KeyError(x)
        return 2 * x

    cache = guard.cache_sync(double)
    warming = cache.warm([1, (2, True), 3])
    assert (warming.succeeded, warming.failed) == (2, 1)
    assert (cache.get(1), cache.get(2), cache.get(3)) == (2, 4, None)
    cache.set(7, 1)
    assert double(1) == 7
    assert (cache.invalidate(1), cache.invalidate_tag("x:2"), cache.invalidate_matching("*")) == (True, 1, 0)
    cache.clear()
    assert cache.statistics().results.entries == 0
    assert guard.statistics().caches == (cache.statistics(),)
    with pytest.raises(ValueError, match=r"double is a sync function: its cache is pipeline\.cache_sync"):
        guard.cache(double)  # type: ignore[arg-type]
    other = pipeline(Cache())
    load = other(Users().load)
    with pytest.raises(ValueError, match=r"load is an async function: its cache is pipeline\.cache"):
        other.cache_sync(load)


async def test_results_stay_where_a_new_policy_allows_it(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    users = Users()
    guard = pipeline(Cache(ttl=60, key=("user",)))
    load = guard(users.load)

    async def made() -> list[int]:
        users.calls.clear()
        for user in (1, 2, 3):
            await load(user)
        return list(users.calls)

    assert await made() == [1, 2, 3]
    guard.configure([Cache(ttl=10, stale=5, key=("user",), tags=("user:{user}",), hard_timeout=1), Retry()])
    assert await made() == []
    clock.tick(59)
    assert await made() == []  # they keep the time that they came in with
    clock.tick(1)
    assert await made() == [1, 2, 3]
    clock.tick(10)
    assert await made() == [1, 2, 3]
    guard.configure([Cache(max_entries=1, key=("user",))])
    assert guard.cache(load).statistics().results.entries == 1
    with pytest.raises(ValueError, match="'tenant', which is no parameter"):
        guard.configure([Cache(max_entries=10, ttl=1, key=("tenant",))])
    assert guard.cache(load).statistics().results.entries == 1
    guard.configure([Cache(max_bytes=10**6, key=("user",))])  # nothing was weighed before
    assert await made() == [1, 2, 3]
    guard.configure([Cache(max_bytes=200, key=("user",))])
    assert guard.cache(load).statistics().results.entries <= 2
    guard.configure([Cache(max_bytes=200, key=("locale",))])
    assert guard.cache(load).statistics().results.entries == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ttl": timedelta(0)}, "ttl is 0.0; it must be a number above zero"),
        ({"ttl": math.inf}, "ttl is inf"),
        ({"negative_ttl": -1}, "negative_ttl is -1"),
        ({"jitter": 2, "ttl": 1}, "jitter is 2; it is a part of the time to live, from 0 to 1"),
        ({"jitter": 0.1}, "jitter needs a time to live: give ttl or ttl_of as well"),
        ({"stale": 5}, "stale needs a time to live"),
        ({"early_refresh": 1}, "early_refresh needs a time to live"),
        ({"early_refresh": math.nan, "ttl": 1}, "early_refresh is nan"),
        ({"negative": bool}, "negative says which results are negative, and negative_ttl not how long"),
        ({"soft_timeout": 1, "ttl": 1}, "soft_timeout is how long to wait before a stale result answers"),
        ({"soft_timeout": 1, "ttl": 1, "stale": 1, "hard_timeout": 1}, "hard_timeout is 1; it must be longer"),
        ({"hard_timeout": 0}, "hard_timeout is 0"),
        ({"key": ("a b",)}, "key has 'a b'; it must be names of parameters"),
        ({"key": ("a", "a")}, "each parameter makes it once"),
        ({"key": "no.such:function"}, "key is 'no.such:function', which can't be found"),
        ({"key": 7}, "key is 7, which can't be called"),
        ({"ttl_of": "math:no"}, "ttl_of is 'math:no', which can't be found"),
        ({"tags": tuple(map(str, range(65)))}, "tags are 65; a result has 64 at most"),
        ({"tags": (7,)}, "tags has 7; it must be texts such as 'user:{user_id}'"),
    ],
)
def test_impossible_and_contradictory_policies_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="cache: ") as caught:
        Cache(**wrong)
    assert words in str(caught.value)


async def test_settings_say_all_of_it_and_name_functions_by_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "corten.toml"
    file.write_text("""
[[pipelines.users.policies]]
policy = "cache"
ttl = "60s"
key = ["user"]
tags = ["user:{user}"]
ttl_of = "math:floor"
negative_ttl = "5s"
negative = "operator:not_"
jitter = 0.5
stale = "5m"
soft_timeout = "50ms"
hard_timeout = 2
early_refresh = 1

[[pipelines.names.policies]]
policy = "cache"
key = "operator:neg"
tags = "builtins:zip"
""")
    app = App("a", config=file, autoload=False)
    users = app.pipeline("users")(Users().load)
    app.pipeline("names")(abs)
    async with app:
        assert await users(1) == "user 1"
        (policy,) = app.pipelines["users"].policies
    assert policy == Cache(
        60.0, key=("user",), tags=("user:{user}",), stale=300.0, soft_timeout=0.05, hard_timeout=2.0, negative_ttl=5.0,
        negative="operator:not_", jitter=0.5, early_refresh=1.0, ttl_of="math:floor",
    )  # fmt: skip


async def test_functions_of_the_policy_answer_at_once(pipeline: Callable[..., Pipeline]) -> None:
    async def slow(*_: object) -> int:
        return 1

    with pytest.raises(ValueError, match="cache: key is an async function; it must be a plain one"):
        Cache(key=slow)
    with pytest.raises(ValueError, match="cache has a key by 'tenant', which is no parameter of Users.load"):
        pipeline(Cache(key=("tenant",)))(Users().load)


async def test_a_million_keys_with_tags_stay_within_the_caps(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(Cache(max_entries=100, tags=("user:{user}",)))

    @guard
    def load(user: int) -> int:
        return user

    for user in range(20_000):
        load(user)
    seen = guard.cache_sync(load).statistics().results
    assert (seen.entries, seen.tags) == (100, 100)


async def test_its_statistics_are_metrics_and_functions_of_one_name_are_added_up(
    pipeline: Callable[..., Pipeline], registry: Registry
) -> None:
    guard = pipeline(Cache(ttl=60, tags=("x:{x}",)), Cache(ttl=60))

    def made() -> Callable[[int], Any]:
        @guard
        async def load(x: int) -> int:
            return x

        return load

    loads = [made(), made()]
    for load in loads:
        for x in (1, 1, 2):
            await load(x)
    outer, inner = guard.statistics().caches
    assert (outer.results.hits, outer.results.misses, outer.results.tags, inner.place) == (2, 4, 4, 1)
    lines = registry.render().splitlines()
    name = f'function="{outer.function}",pipeline="p"'
    assert f'corten_cache_hits_total{{{name},place="0"}} 2.0' in lines
    assert f'corten_cache_entries{{{name},place="1"}} 4.0' in lines
