"""The in-process cache and its peers: hits, misses, inserts, and hit ratios."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator

from harness import Case, compare, optional

from corten.cache import MemoryCache

ENTRIES = 1_000
# Equal to the stored keys, but not identical, as in real programs.
STORED = [f"user:{number}" for number in range(ENTRIES)]
ASKED = [f"user:{number}" for number in range(ENTRIES)]
random.Random(1).shuffle(ASKED)

cachebox = optional("cachebox")
cachetools = optional("cachetools")
lru = optional("lru")
moka = optional("moka_py")


def filled(cache: object) -> object:
    for key in STORED:
        cache[key] = key  # type: ignore[index]
    return cache


def get(cache: object | None, method: str = "get") -> Case | None:
    """Look up every key once, by an equal but not identical string."""
    if cache is None:
        return None
    names = {"get": getattr(cache, method), "keys": ASKED}
    return Case("for key in keys: get(key)", operations=ENTRIES, baseline="for key in keys: pass", **names)


def insert(cache: object | None) -> Case | None:
    """Insert new keys, so that each evicts an old key."""
    if cache is None:
        return None
    numbers = itertools.count()
    names = {"cache": cache, "numbers": numbers, "next": next}
    return Case("cache[next(numbers)] = None", baseline="next(numbers)", **names)


def filled_moka(**options: object) -> object | None:
    if moka is None:
        return None
    cache = moka.Moka(ENTRIES * 2, **options)
    for key in STORED:
        cache.set(key, key)
    return cache


@functools.lru_cache(ENTRIES * 2)
def remembered(key: str) -> str:
    return key


def speed() -> None:
    room = ENTRIES * 2
    for key in STORED:
        remembered(key)
    compare(
        "cache: get, hit, 1,000 keys",
        {
            "corten s3fifo": get(filled(MemoryCache(room))),
            "corten lru": get(filled(MemoryCache(room, eviction="lru"))),
            "cachebox.LRUCache": get(cachebox and filled(cachebox.LRUCache(room))),
            "cachebox.FIFOCache": get(cachebox and filled(cachebox.FIFOCache(room))),
            "functools.lru_cache": Case(
                "for key in keys: get(key)",
                operations=ENTRIES,
                baseline="for key in keys: pass",
                get=remembered,
                keys=ASKED,
            ),
            "lru-dict": get(lru and filled(lru.LRU(room))),
            "cachetools.LRUCache": get(cachetools and filled(cachetools.LRUCache(room))),
            "moka_py": get(filled_moka()),
            "dict": get(filled({})),
        },
        ours="corten s3fifo",
        floor="dict",
        targets={"cachebox.LRUCache": 1.0, "cachebox.FIFOCache": 1.0},
    )
    compare(
        "cache: get, hit, with time to live",
        {
            "corten": get(filled(MemoryCache(room, ttl=3600))),
            "cachebox.TTLCache": get(cachebox and filled(cachebox.TTLCache(room, 3600))),
            "cachebox.VTTLCache": get(cachebox and filled_vttl(room)),
            "cachetools.TTLCache": get(cachetools and filled(cachetools.TTLCache(room, 3600))),
            "moka_py": get(filled_moka(ttl=3600)),
            "dict": get(filled({})),
        },
        floor="dict",
        targets={"cachebox.TTLCache": 0.7, "cachebox.VTTLCache": 0.7},
    )
    compare(
        "cache: cache[key], the identical key",
        {
            "corten": Case("cache[key]", cache=filled(MemoryCache(room)), key=STORED[7]),
            "cachebox.LRUCache": cachebox and Case("cache[key]", cache=filled(cachebox.LRUCache(room)), key=STORED[7]),
            "lru-dict": lru and Case("cache[key]", cache=filled(lru.LRU(room)), key=STORED[7]),
            "dict": Case("cache[key]", cache=filled({}), key=STORED[7]),
        },
        floor="dict",
    )
    pairs = [(name, number) for number, name in enumerate(STORED)]
    asked = [(name, number) for number, name in enumerate(STORED)]

    def with_pairs(cache: object) -> object:
        for pair in pairs:
            cache[pair] = pair  # type: ignore[index]
        return cache

    loop = {"operations": ENTRIES, "baseline": "for key in keys: pass", "keys": asked}
    compare(
        "cache: get, hit, keys are tuples of str and int",
        {
            "corten": Case("for key in keys: get(key)", get=with_pairs(MemoryCache(room)).get, **loop),
            "cachebox.LRUCache": cachebox
            and Case("for key in keys: get(key)", get=with_pairs(cachebox.LRUCache(room)).get, **loop),
            "dict": Case("for key in keys: get(key)", get=with_pairs({}).get, **loop),
        },
        floor="dict",
        targets={"cachebox.LRUCache": 1.0},
    )
    compare(
        "cache: get, miss",
        {
            "corten": get(MemoryCache(room)),
            "cachebox.LRUCache": get(cachebox and cachebox.LRUCache(room)),
            "lru-dict": get(lru and lru.LRU(room)),
            "cachetools.LRUCache": get(cachetools and cachetools.LRUCache(room)),
            "dict": get({}),
        },
        floor="dict",
    )
    compare(
        "cache: insert into a full one",
        {
            "corten s3fifo": insert(MemoryCache(room)),
            "corten lru": insert(MemoryCache(room, eviction="lru")),
            "cachebox.LRUCache": insert(cachebox and cachebox.LRUCache(room)),
            "cachebox.FIFOCache": insert(cachebox and cachebox.FIFOCache(room)),
            "lru-dict": insert(lru and lru.LRU(room)),
            "cachetools.LRUCache": insert(cachetools and cachetools.LRUCache(room)),
        },
        ours="corten s3fifo",
    )


def filled_vttl(room: int) -> object:
    assert cachebox is not None
    cache = cachebox.VTTLCache(room)
    for key in STORED:
        cache.insert(key, key, 3600)
    return cache


def zipf(keys: int, requests: int, seed: int = 7) -> list[int]:
    """Yield requests for numbered keys by Zipf's law with exponent 1."""
    weights = list(itertools.accumulate(1 / rank for rank in range(1, keys + 1)))
    return random.Random(seed).choices(range(keys), cum_weights=weights, k=requests)


def with_scans(requests: list[int], every: int, length: int) -> Iterator[int]:
    """Yield requests mixed with scans over keys that occur once."""
    fresh = itertools.count(10**9)
    for number, key in enumerate(requests):
        if number % every == 0:
            yield from itertools.islice(fresh, length)
        yield key


def hit_ratio(eviction: str, entries: int, requests: list[int]) -> float:
    cache: MemoryCache[int, None] = MemoryCache(entries, eviction=eviction)  # type: ignore[arg-type]
    for key in requests:
        if key not in cache:
            cache.get(key)  # counts the miss
            cache[key] = None
        else:
            cache.get(key)
    return cache.statistics().hit_ratio


def hit_ratios() -> None:
    print("\ncache: hit ratio, Zipf 1.0 over 1,000,000 keys, 1,000,000 requests")
    print(f"  {'entries':>8}  {'requests':<28}  {'s3fifo':>7}  {'lru':>7}")
    requests = zipf(1_000_000, 1_000_000)
    scanned = list(with_scans(requests, every=20_000, length=10_000))
    for entries in (1_000, 10_000, 100_000):
        for title, stream in (("plain", requests), ("a third is scans of 10,000", scanned)):
            ratios = [hit_ratio(eviction, entries, stream) for eviction in ("s3fifo", "lru")]
            print(f"  {entries:>8,}  {title:<28}  {ratios[0]:>7.1%}  {ratios[1]:>7.1%}")


if __name__ == "__main__":
    speed()
    hit_ratios()
