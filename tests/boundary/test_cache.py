"""The in-process cache against a naive model, under hostile keys and values, from threads, and with a million keys."""

from __future__ import annotations

import gc
import math
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from corten.cache import CacheStatistics, MemoryCache
from corten.testing.clock import FakeClock

EVICTIONS: tuple[Literal["s3fifo", "lru"], ...] = ("s3fifo", "lru")
KEYS = st.one_of(
    st.integers(-2, 8),
    st.sampled_from([1.0, 2.5, True, None, "a", "b", b"a", (1, "a"), (1.0, "a"), ((1,), "b"), frozenset({1})]),
    st.integers(2**61 - 3, 2**61 + 3),  # Python's hash of these is that of small numbers
)
TAGS = st.sampled_from(["tag:a1", "tag:a2", "tag:b1", "tag:b2", "other"])


class CacheMachine(RuleBasedStateMachine):
    """What it gives out is what was put in last; what it must hold, it holds."""

    @initialize(
        eviction=st.sampled_from(EVICTIONS),
        max_entries=st.integers(1, 12),
        max_bytes=st.none() | st.integers(1, 100),
        ttl=st.none() | st.integers(1, 50),
        stale=st.integers(0, 20),
        early_refresh=st.sampled_from([0.0, 1.0]),
    )
    def make(
        self, eviction: Any, max_entries: int, max_bytes: int | None, ttl: int | None, stale: int, early_refresh: float
    ) -> None:
        self.clock = FakeClock()
        self.max_entries, self.max_bytes, self.ttl, self.leeway = max_entries, max_bytes, ttl, stale
        self.cache: MemoryCache[Any, tuple[int, int]] = MemoryCache(
            max_entries,
            max_bytes=max_bytes,
            ttl=ttl,
            eviction=eviction,
            weigh=lambda key, value: value[1],
            clock=self.clock,
            stale=stale,
            early_refresh=early_refresh,
        )
        self.model: dict[Any, tuple[tuple[int, int], float]] = {}  # what was put in last, and until when it is good
        self.tags: dict[Any, set[str]] = {}
        self.number = self.hits = self.misses = 0

    def good(self, key: Any) -> tuple[int, int] | None:
        value, until = self.model.get(key, (None, 0.0))
        return value if self.clock.now() < until else None

    @rule(
        key=KEYS,
        weight=st.integers(0, 30),
        ttl=st.none() | st.integers(1, 50) | st.just(math.inf),
        tags=st.lists(TAGS, max_size=3),
        cost=st.integers(0, 3),
    )
    def put(self, key: Any, weight: int, ttl: float | None, tags: list[str], cost: int) -> None:
        self.number += 1
        value = (self.number, weight)
        if ttl is None and not tags and not cost:
            self.cache[key] = value
        else:
            self.cache.set(key, value, ttl, tags=tags, cost=cost)
        self.tags[key] = set(tags)
        effective = ttl if ttl is not None else self.ttl
        fits = self.max_bytes is None or weight <= self.max_bytes
        if not fits:
            self.model.pop(key, None)
        else:
            self.model[key] = (value, math.inf if effective is None else self.clock.now() + effective)
        assert (key in self.cache) is fits

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        found = self.cache.get(key)
        assert found in (None, self.good(key))
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
            assert self.cache[key] is found
            self.hits += 1

    @rule(key=KEYS)
    def pop(self, key: Any) -> None:
        held = key in self.cache
        found = self.cache.pop(key, None)
        assert (found is not None) is held
        assert found in (None, self.good(key))
        self.model.pop(key, None)
        with pytest.raises(KeyError):
            del self.cache[key]

    @rule(key=KEYS)
    def ask_for_stale(self, key: Any) -> None:
        found = self.cache.stale(key)
        value, until = self.model.get(key, (None, 0.0))
        if found is not None:
            assert found == (value, self.clock.now() < until)
            assert self.clock.now() < until + self.leeway

    @rule(key=KEYS)
    def invalidate(self, key: Any) -> None:
        held = key in self.cache or self.cache.stale(key) is not None
        assert self.cache.invalidate(key) >= held
        self.model.pop(key, None)
        assert (key in self.cache, self.cache.stale(key), self.cache.tags(key)) == (False, None, [])

    @rule(tag=TAGS)
    def invalidate_tag(self, tag: str) -> None:
        before = len(self.cache)
        assert self.cache.invalidate_tag(tag) == before - len(self.cache)
        self.forget(lambda tags: tag in tags)

    @rule(letter=st.sampled_from("ab"))
    def invalidate_matching(self, letter: str) -> None:
        before = len(self.cache)
        assert self.cache.invalidate_matching(f"tag:{letter}*") == before - len(self.cache)
        self.forget(lambda tags: any(tag.startswith(f"tag:{letter}") for tag in tags))

    def forget(self, wanted: Callable[[set[str]], bool]) -> None:
        for key in [key for key in self.model if wanted(self.tags[key])]:
            assert key not in self.cache
            del self.model[key]

    @rule(seconds=st.integers(0, 30))
    def wait(self, seconds: int) -> None:
        self.clock.tick(seconds)

    @precondition(lambda self: len(self.cache) > 0)
    @rule()
    def expire(self) -> None:
        before = len(self.cache)
        assert before - self.cache.expire() == len(self.cache)
        stale = len(self.cache) - len(self.cache.keys())
        assert stale >= 0 if self.leeway else stale == 0  # what may still be given out stale stays

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()
        assert len(self.cache) == 0

    @invariant()
    def holds_no_more_than_it_may_and_only_what_is_good(self) -> None:
        if not hasattr(self, "cache"):
            return
        items = self.cache.items()
        assert all(self.good(key) == value for key, value in items)
        assert len(items) == len({key for key, _ in items}) == len(list(self.cache))
        statistics = self.cache.statistics()
        assert len(items) <= statistics.entries == len(self.cache) <= self.max_entries
        assert sum(value[1] for _, value in items) <= statistics.bytes
        assert self.max_bytes is None or statistics.bytes <= self.max_bytes
        assert (statistics.hits, statistics.misses) == (self.hits, self.misses)
        assert statistics.tags <= 5
        for key, _ in items:
            assert set(self.cache.tags(key)) == self.tags[key]

    @invariant()
    def forgets_nothing_while_there_is_room(self) -> None:
        if hasattr(self, "cache") and self.cache.statistics().evictions == 0:
            assert all(key in self.cache for key in self.model if self.good(key) is not None)


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@pytest.fixture(params=EVICTIONS)
def cache(request: pytest.FixtureRequest) -> MemoryCache[Any, Any]:
    return MemoryCache(100, eviction=request.param)


class Key:
    """A key of our own, all with the same hash, whose comparison may do something first."""

    def __init__(self, name: str, before: Any = None) -> None:
        self.name = name
        self.before = before

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        if self.before is not None:
            self.before()
        return isinstance(other, Key) and self.name == other.name


def test_it_is_used_like_a_mapping(cache: MemoryCache[str, int]) -> None:
    cache["a"] = 1
    cache.set("b", 2)
    assert (cache["a"], cache.get("b"), cache.get("c"), cache.get("c", 3)) == (1, 2, None, 3)
    assert ("a" in cache, "c" in cache, len(cache), sorted(cache)) == (True, False, 2, ["a", "b"])
    assert sorted(cache.items()) == [("a", 1), ("b", 2)]
    assert (cache.pop("a"), cache.pop("a", 9)) == (1, 9)
    with pytest.raises(KeyError, match="'a'"):
        cache.pop("a")
    with pytest.raises(KeyError, match="'a'"):
        del cache["a"]
    with pytest.raises(KeyError) as caught:
        cache[("a", "b")]  # type: ignore[index]
    assert caught.value.args == (("a", "b"),)
    del cache["b"]
    assert len(cache) == 0


def test_a_value_may_be_none(cache: MemoryCache[str, None]) -> None:
    cache["a"] = None
    assert cache.get("a", 1) is None
    assert cache["a"] is None


def test_equal_keys_of_different_types_are_one_key(cache: MemoryCache[Any, str]) -> None:
    cache[1] = "int"
    assert cache[1.0] == cache[True] == "int"
    cache[True] = "bool"
    assert (len(cache), cache[1]) == (1, "bool")
    cache[(1, ("x",))] = "nested"
    assert cache[(1.0, ("".join("x"),))] == "nested"


def test_text_and_its_bytes_are_two_keys_though_python_hashes_them_alike(cache: MemoryCache[Any, str]) -> None:
    cache["a"], cache[b"a"] = "text", "bytes"
    assert (cache["".join("a")], cache[b"".join([b"a"])], hash("a") == hash(b"a")) == ("text", "bytes", True)


@pytest.mark.parametrize("text", ["", "a", "\x00", "é" * 40, "€uro", "🜁" * 3, "a" * 10_000, "\ud800"])
def test_texts_of_every_representation_are_found_by_equal_ones(cache: MemoryCache[str, str], text: str) -> None:
    near = [text + "a", text[:-1] + "b", text.upper() + "x"]
    for other in near:
        cache[other] = "wrong"
    cache[text] = "right"
    equal = (text + "!")[:-1]
    assert (cache[equal], [cache[(other + "!")[:-1]] for other in near]) == ("right", ["wrong"] * 3)


def test_an_entry_is_good_until_its_time_has_passed() -> None:
    clock = FakeClock()
    cache: MemoryCache[str, int] = MemoryCache(ttl=10, clock=clock)
    cache["default"] = 1
    cache.set("short", 2, ttl=5)
    cache.set("forever", 3, ttl=math.inf)
    clock.tick(5)
    assert cache.items() == [("default", 1), ("forever", 3)]
    assert "short" not in cache
    with pytest.raises(KeyError):
        del cache["short"]
    clock.tick(5)
    assert (cache.get("default"), cache["forever"]) == (None, 3)
    assert cache.statistics() == CacheStatistics(
        hits=1, misses=1, inserts=3, evictions=0, expirations=1, rejections=0, entries=1, bytes=0
    )


def test_a_value_too_heavy_for_the_whole_cache_is_not_taken_in() -> None:
    cache: MemoryCache[str, str] = MemoryCache(max_bytes=10, weigh=lambda key, value: len(value))
    cache["a"] = "1234567890"
    cache["a"] = "12345678901"
    assert "a" not in cache
    statistics = cache.statistics()
    assert (statistics.rejections, statistics.entries, statistics.bytes) == (1, 0, 0)


def test_without_weigh_an_entry_weighs_what_python_says() -> None:
    cache: MemoryCache[str, bytes] = MemoryCache(max_bytes=10_000)
    cache["a"] = b"x" * 1_000
    assert cache.statistics().bytes == sys.getsizeof("a") + sys.getsizeof(b"x" * 1_000)
    for number in range(100):
        cache[str(number)] = b"x" * 1_000
    assert cache.statistics().bytes <= 10_000
    assert 8 <= len(cache) <= 9


@pytest.mark.parametrize("weight", [-1, 1.5, "1", None])
def test_a_weight_that_is_none_is_refused_and_nothing_changes(weight: object) -> None:
    cache: MemoryCache[str, int] = MemoryCache(max_bytes=10, weigh=lambda key, value: weight)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="weigh must give a number of bytes"):
        cache["a"] = 1
    assert len(cache) == 0


def test_patterns_go_over_tags_and_the_text_of_keys() -> None:
    cache: MemoryCache[Any, int] = MemoryCache()
    cache.set("user:7", 1)
    cache.set(("user", 7), 2)
    cache.set(7, 3, tags=["user:7"])
    cache.set("other", 4, tags=["team:1"])
    assert cache.invalidate_matching("use?:*") == 3
    assert cache.keys() == ["other"]
    assert (cache.invalidate_matching("*:2"), cache.invalidate_matching(r"\*")) == (0, 0)
    with pytest.raises(ValueError, match="ends with a single backslash"):
        cache.invalidate_matching("a\\")
    assert cache.invalidate_matching("*") == 1
    assert cache.statistics().invalidations == 4


def test_a_key_whose_text_raises_stops_nobody_but_who_asks_for_patterns() -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    cache: MemoryCache[Any, int] = MemoryCache()
    cache[Mute()] = 1
    with pytest.raises(RuntimeError, match="no text"):
        cache.invalidate_matching("*")
    assert len(cache) == 1


def test_more_tags_than_fit_are_refused_and_nothing_changes() -> None:
    cache: MemoryCache[str, int] = MemoryCache()
    with pytest.raises(ValueError, match="an entry can have 64 tags, not 65"):
        cache.set("a", 1, tags=[str(number) for number in range(65)])
    with pytest.raises(TypeError):
        cache.set("a", 1, tags=[7])  # type: ignore[list-item]
    assert len(cache) == 0


def test_jitter_shortens_and_never_lengthens() -> None:
    clock = FakeClock()
    cache: MemoryCache[int, int] = MemoryCache(ttl=100, jitter=0.5, clock=clock)
    for number in range(1_000):
        cache[number] = number
    clock.tick(49)
    assert len(cache.items()) == 1_000
    clock.tick(26)
    assert 400 < len(cache.items()) < 600
    clock.tick(25)
    assert cache.items() == []


def test_a_stale_value_is_given_out_only_to_who_asks_and_only_for_a_while() -> None:
    clock = FakeClock()
    cache: MemoryCache[str, int] = MemoryCache(ttl=10, stale=5, clock=clock)
    cache["a"] = 1
    assert cache.stale("a") == (1, True)
    clock.tick(10)
    assert (cache.get("a"), "a" in cache, cache.stale("a")) == (None, False, (1, False))
    clock.tick(5)
    assert cache.stale("a") is None
    assert cache.expire() == 1
    statistics = cache.statistics()
    assert (statistics.stale, statistics.misses) == (1, 1)


def test_caps_and_times_can_be_changed() -> None:
    clock = FakeClock()
    cache: MemoryCache[int, int] = MemoryCache(100, clock=clock)
    for number in range(50):
        cache[number] = number
    cache.configure(10, None, 5.0, 0.0, 1.0, 0.0)
    assert (len(cache), cache.max_entries) == (10, 10)
    cache[100] = 1
    clock.tick(5)
    assert (100 in cache, cache.stale(100)) == (False, (1, False))
    assert len(cache.items()) == 9
    with pytest.raises(ValueError, match="max_bytes needs the weights of all entries"):
        cache.configure(10, 100, None, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="jitter must be from 0 to 1"):
        cache.configure(1, None, None, 2.0, 0.0, 0.0)
    assert cache.max_entries == 10


def test_a_clock_that_jumps_ahead_ends_what_has_a_time_and_nothing_else() -> None:
    clock = FakeClock()
    cache: MemoryCache[str, int] = MemoryCache(ttl=10, stale=math.inf, early_refresh=1, clock=clock)
    cache.set("timed", 1, cost=1e18)
    cache.set("forever", 2, ttl=math.inf)
    clock.tick(1e9)
    assert (cache.get("timed"), cache.stale("timed"), cache.get("forever")) == (None, (1, False), 2)


def test_threads_that_tag_and_invalidate_leave_nothing_behind() -> None:
    cache: MemoryCache[tuple[int, int], int] = MemoryCache(500, ttl=3600, stale=1)
    start = threading.Barrier(4)

    def hammer(name: int) -> None:
        start.wait()
        for number in range(3_000):
            cache.set((name, number % 200), number, tags=[f"thread:{name}", f"number:{number % 7}"])
            if number % 50 == 0:
                cache.invalidate_tag(f"number:{number % 7}")
            if number % 500 == 0:
                cache.invalidate_matching("thread:*")
            cache.get((name, number % 150))

    threads = [threading.Thread(target=hammer, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(cache) <= 500
    for name in range(4):
        cache.invalidate_tag(f"thread:{name}")
    assert (len(cache), cache.statistics().tags) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_entries": 0}, "max_entries must be from 1 to"),
        ({"max_entries": -1}, "not -1"),
        ({"max_entries": 2**32}, "max_entries must be from 1 to"),
        ({"max_bytes": 0}, "max_bytes must be at least 1"),
        ({"ttl": 0}, "ttl must be more than zero seconds, not 0"),
        ({"ttl": math.nan}, "not NaN"),
        ({"eviction": "fifo"}, 'must be "s3fifo" or "lru", not "fifo"'),
        ({"jitter": 1.5}, "jitter must be from 0 to 1, not 1.5"),
        ({"jitter": math.nan}, "jitter must be from 0 to 1, not NaN"),
        ({"stale": -1}, "stale must be zero seconds or more, not -1"),
        ({"early_refresh": math.inf}, "early_refresh must be a number from 0 up, not inf"),
    ],
)
def test_wrong_arguments_are_said(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryCache(**arguments)
    if "ttl" in arguments:
        with pytest.raises(ValueError, match=message):
            MemoryCache[str, int]().set("a", 1, arguments["ttl"])


def test_keys_that_cannot_be_hashed_or_compared_raise_what_they_raise(cache: MemoryCache[Any, int]) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        cache[[]] = 1

    def fail() -> None:
        raise RuntimeError("no comparison today")

    cache[Key("a", fail)] = 1
    for use in (cache.get, cache.__contains__, cache.pop, lambda key: cache.set(key, 2)):
        with pytest.raises(RuntimeError, match="no comparison today"):
            use(Key("a"))
    assert len(cache) == 1


def test_keys_with_the_same_hash_are_told_apart(cache: MemoryCache[Key, int]) -> None:
    for number in range(50):
        cache[Key(str(number))] = number
    assert [cache[Key(str(number))] for number in range(50)] == list(range(50))
    assert cache.get(Key("none")) is None
    cache[Key("7")] = 70
    assert (cache[Key("7")], len(cache)) == (70, 50)


def test_a_comparison_may_use_the_cache(cache: MemoryCache[Key, int]) -> None:
    lookups = 0

    def look() -> None:
        nonlocal lookups
        lookups += 1
        if lookups < 5:
            cache.get(Key("other"))
            cache[Key("another", look)] = lookups

    cache[Key("a", look)] = 1
    assert cache[Key("a")] == 1
    assert lookups >= 1


def test_a_comparison_that_clears_the_cache_makes_a_miss(cache: MemoryCache[Key, int]) -> None:
    cache[Key("a", cache.clear)] = 1
    assert cache.get(Key("a")) is None
    cache[Key("a", cache.clear)] = 1
    cache[Key("a")] = 2
    assert (cache[Key("a")], len(cache)) == (2, 1)


def test_a_comparison_that_changes_the_cache_each_time_is_given_up(cache: MemoryCache[Key, int]) -> None:
    def change() -> None:
        cache.clear()
        cache[Key("a", change)] = 1

    change()
    with pytest.raises(RuntimeError, match="again and again"):
        cache.get(Key("b"))


class Grave:
    """A value that uses the cache when it dies."""

    died = 0

    def __init__(self, cache: MemoryCache[Any, Any], key: object) -> None:
        self.cache, self.key = cache, key

    def __del__(self) -> None:
        Grave.died += 1
        self.cache.get(self.key)
        self.cache["from the grave"] = Grave.died
        len(self.cache)


def test_values_may_use_the_cache_when_they_die(cache: MemoryCache[Any, Any]) -> None:
    Grave.died = 0
    cache["a"] = Grave(cache, "a")
    cache["a"] = 1  # replaced
    assert Grave.died == 1
    cache["b"] = Grave(cache, "b")
    del cache["b"]
    cache["c"] = Grave(cache, "c")
    cache.clear()
    assert Grave.died == 3
    for number in range(300):  # evicted
        cache[number] = Grave(cache, number)
    assert Grave.died >= 200
    cache.clear()
    assert (Grave.died, cache["from the grave"]) == (303, 303)


def test_values_may_use_the_cache_when_their_time_has_passed() -> None:
    clock, Grave.died = FakeClock(), 0
    cache: MemoryCache[Any, Any] = MemoryCache(ttl=1, clock=clock)
    cache["a"], cache["b"] = Grave(cache, "a"), Grave(cache, "b")
    clock.tick(1)
    assert cache.get("a") is None
    assert cache.expire() == 1
    assert Grave.died == 2


def test_a_cycle_through_the_cache_is_collected() -> None:
    class Node:
        cache: Any

    node = Node()

    def weigh(key: str, value: Node, node: Node = node) -> int:
        return 1

    node.cache = MemoryCache[str, Node](10, weigh=weigh, max_bytes=5)
    node.cache["self"] = node
    gone, cache_gone = weakref.ref(node), weakref.ref(node.cache)
    del node, weigh
    gc.collect()
    assert (gone(), cache_gone()) == (None, None)


def test_collecting_while_it_is_in_use_loses_nothing(cache: MemoryCache[int, list[int]]) -> None:
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(500):
            cache[number] = [number]
            assert cache[number] == [number]
            assert all(key == value[0] for key, value in cache.items())
    finally:
        gc.set_threshold(*threshold)


@pytest.fixture
def often_switching() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("often_switching")
@pytest.mark.parametrize("eviction", EVICTIONS)
def test_threads_hammer_it_and_read_only_what_was_written(eviction: Literal["s3fifo", "lru"]) -> None:
    cache: MemoryCache[Any, Any] = MemoryCache(50, ttl=60, eviction=eviction)
    wrong: list[object] = []

    def hammer(seed: int) -> None:
        for number in range(4_000):
            name = (number * seed) % 90
            key: Any = name if number % 3 else Key(str(name))
            expected = name if number % 3 else str(name)
            match number % 7:
                case 0 | 1 | 2:
                    cache[key] = expected
                case 3:
                    cache.pop(key, None)
                case 4:
                    len(cache.items())
                case _:
                    if cache.get(key, expected) != expected:
                        wrong.append(key)

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in (7, 11, 13, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(cache) == len(cache.items()) <= 50


@pytest.mark.parametrize("eviction", EVICTIONS)
def test_a_million_keys_leave_only_what_it_may_hold(eviction: Literal["s3fifo", "lru"]) -> None:
    cache: MemoryCache[int, int] = MemoryCache(1_000, eviction=eviction)
    for number in range(1_000_000):
        cache[number] = number
    statistics = cache.statistics()
    assert (statistics.entries, statistics.evictions, statistics.inserts) == (1_000, 999_000, 1_000_000)
    assert all(key == value for key, value in cache.items())


def test_a_scan_passes_without_washing_out_what_is_used() -> None:
    cache: MemoryCache[int, int] = MemoryCache(100)
    for _ in range(4):
        for number in range(50):
            if cache.get(number) is None:
                cache[number] = number
    for number in range(1_000, 2_000):
        cache[number] = number
    assert all(number in cache for number in range(50))


def test_it_shows_what_it_is(cache: MemoryCache[int, int]) -> None:
    cache[1] = 1
    assert repr(cache).startswith("<MemoryCache 1 of 100 entries, ")
    assert (cache.max_entries, cache.max_bytes, CacheStatistics(3, 1, 0, 0, 0, 0, 0, 0).hit_ratio) == (100, None, 0.75)
    assert cache.statistics().hit_ratio == 0.0
