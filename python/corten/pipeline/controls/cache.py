"""A function's cache, to be looked into, filled and emptied while the pipeline runs."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, cast

import anyio
import msgspec

from corten.errors import CortenError
from corten.pipeline.functions.function import GuardedFunction
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.cache import FunctionCache
from corten.pipeline.telemetry.statistics import FunctionCacheStatistics

P = ParamSpec("P")
R = TypeVar("R")


class Warming(msgspec.Struct, frozen=True):
    """What came of filling a cache ahead of time."""

    succeeded: int
    """Calls that have a result now, those that had one before among them."""
    failed: int
    """Calls that raised."""
    error: Exception | None = None
    """What the last of those raised."""


class _Control(Generic[P, R]):
    """What the handles of async and plain functions have in common."""

    def __init__(
        self, pipeline: str, guarded: GuardedFunction, function: Callable[..., Any], bound: tuple[Any, ...]
    ) -> None:
        self._pipeline = pipeline
        self._guarded = guarded
        self._function = function
        self._bound = bound
        self._caches()  # so that what has none says so at once

    def __repr__(self) -> str:
        seen = self.statistics()
        return f"<cache of {seen.function}: {seen.results.entries} results, {seen.results.hit_ratio:.0%} hits>"

    def statistics(self) -> FunctionCacheStatistics:
        """What it has counted, and what it holds; of several caches around the function the outermost."""
        return self._caches()[0].statistics()

    def _caches(self) -> list[FunctionCache]:
        """The caches around the function, outermost first: as the policies are now."""
        found = list(caches_of(self._guarded))
        if not found:
            raise CortenError(f"pipeline {self._pipeline!r} has no cache: its policies have no Cache among them")
        return found

    def _keys(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[FunctionCache, Any]]:
        return [(cache, cache.key.checked(*self._bound, *args, **kwargs)) for cache in self._caches()]

    def _get_local(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for cache, key in self._keys(args, kwargs):
            if (value := cache.get(key)) is not MISS:
                return value
        return MISS

    def _set_local(self, value: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Keep it; gives the caches that did, with key and terms."""
        kept: list[tuple[Any, ...]] = []
        for cache, key in self._keys(args, kwargs):
            cache.forget_flights(key)
            terms = cache.keep(key, value, (*self._bound, *args), kwargs)
            if terms is not None:
                kept.append((cache, key, terms))
        return kept

    def _invalidate_local(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        there = False
        for cache, key in self._keys(args, kwargs):
            there |= cache.invalidate(key)
        return there

    def _invalidate_tag_local(self, tag: str) -> int:
        return sum(cache.invalidate_tag(tag) for cache in self._caches())

    def _invalidate_matching_local(self, pattern: str) -> int:
        return sum(cache.invalidate_matching(pattern) for cache in self._caches())

    def _clear_local(self) -> None:
        for cache in self._caches():
            cache.clear()


class CacheControl(_Control[P, R]):
    """The cache of an async function; good for as long as the function is.

    What is invalidated is gone from this process and from the shared tier, and calls under way neither keep their
    results nor have callers join them: whoever asks after an invalidation gets what was made after it. Arguments are
    those of a call, ``self`` of methods among them unless the handle was got by a bound method.
    """

    async def get(self, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The result that a call would be given without being made; None where there is none. Counts nothing."""
        value = self._get_local(args, kwargs)
        if value is MISS:
            for cache, key in self._keys(args, kwargs):
                if cache.shared is not None and (value := await cache.shared.get(key)) is not MISS:
                    break
        return None if value is MISS else cast("R", value)

    async def set(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Keep a result for calls with these arguments, on the policy's terms."""
        for cache, key, terms in self._set_local(value, args, kwargs):
            if cache.shared is not None:
                await cache.shared.set(key, value, *terms)

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of calls with these arguments; whether this process had one."""
        there = self._invalidate_local(args, kwargs)
        for cache, key in self._keys(args, kwargs):
            if cache.shared is not None:
                await cache.shared.delete(key)
        return there

    async def invalidate_tag(self, tag: str) -> int:
        """Forget all results that have a tag; how many this process had.

        :raises CortenError: the shared tier does not know tags
        """
        count = self._invalidate_tag_local(tag)
        for cache in self._caches():
            if cache.shared is not None:
                await cache.shared.delete_tag(tag)
        return count

    async def invalidate_matching(self, pattern: str) -> int:
        """Forget all results that have a tag, or a key, as the pattern says (``user:*``); how many this process had.

        ``*`` is any text, ``?`` any one character, a backslash makes the next character plain. A key is its ``str()``,
        that of several arguments theirs with colons between them. Walks all keys, also those of the shared tier.

        :raises ValueError: the pattern ends with a single backslash
        :raises CortenError: the shared tier does not know patterns
        """
        count = self._invalidate_matching_local(pattern)
        for cache in self._caches():
            if cache.shared is not None:
                await cache.shared.delete_matching(pattern)
        return count

    async def clear(self) -> None:
        """Forget all results.

        :raises CortenError: the shared tier does not know patterns
        """
        self._clear_local()
        for cache in self._caches():
            if cache.shared is not None:
                await cache.shared.delete_matching("*")

    async def warm(self, calls: Iterable[Any] | AsyncIterable[Any], *, concurrency: int = 10) -> Warming:
        """Make calls ahead of time, a few at once, through all policies; what fails is counted and does not stop it.

        :param calls: the arguments of each: a tuple of them, or the only one
        :param concurrency: how many at a time
        """
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency!r}; at least one call has to be made at a time")
        function = cast("Callable[..., Awaitable[Any]]", self._function)
        source: AsyncIterator[Any] = aiter(calls) if isinstance(calls, AsyncIterable) else _drawn(calls)
        drawing = anyio.Lock()
        succeeded = failed = 0
        last: Exception | None = None

        async def work() -> None:
            nonlocal succeeded, failed, last
            while True:
                async with drawing:
                    try:
                        each = await anext(source)
                    except StopAsyncIteration:
                        return
                arguments = _arguments(each)
                try:
                    await function(*self._bound, *arguments)
                except Exception as error:  # noqa: BLE001 - told in what is given back
                    failed, last = failed + 1, error
                else:
                    succeeded += 1

        async with anyio.create_task_group() as group:
            for _ in range(concurrency):
                group.start_soon(work)
        return Warming(succeeded, failed, last)


class SyncCacheControl(_Control[P, R]):
    """The cache of a plain function: the same, without awaiting and without a shared tier."""

    def get(self, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The result that a call would be given without being made; None where there is none. Counts nothing."""
        value = self._get_local(args, kwargs)
        return None if value is MISS else cast("R", value)

    def set(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Keep a result for calls with these arguments, on the policy's terms."""
        self._set_local(value, args, kwargs)

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of calls with these arguments; whether there was one."""
        return self._invalidate_local(args, kwargs)

    def invalidate_tag(self, tag: str) -> int:
        """Forget all results that have a tag; how many there were."""
        return self._invalidate_tag_local(tag)

    def invalidate_matching(self, pattern: str) -> int:
        """Forget all results that have a tag, or a key, as the pattern says; how many there were.

        :raises ValueError: the pattern ends with a single backslash
        """
        return self._invalidate_matching_local(pattern)

    def clear(self) -> None:
        """Forget all results."""
        self._clear_local()

    def warm(self, calls: Iterable[Any]) -> Warming:
        """Make calls ahead of time, one after the other, through all policies; what fails is counted."""
        succeeded = failed = 0
        last: Exception | None = None
        for each in calls:
            arguments = _arguments(each)
            try:
                self._function(*self._bound, *arguments)
            except Exception as error:  # noqa: BLE001 - told in what is given back
                failed, last = failed + 1, error
            else:
                succeeded += 1
        return Warming(succeeded, failed, last)


def cache_control(
    pipeline: str, functions: Iterable[GuardedFunction], function: Callable[..., Any]
) -> CacheControl[Any, Any]:
    """The handle of an async function's cache, by the function, guarded or bare, or by a method of an instance.

    :raises ValueError: the pipeline does not guard the function, or it is a plain one
    :raises CortenError: it has no cache
    """
    guarded, bound = _found(pipeline, functions, function)
    if guarded.flavor == "sync":
        raise ValueError(f"{guarded.function.__qualname__} is a plain function: its cache is pipeline.cache_sync(…)")
    return CacheControl(pipeline, guarded, guarded.function, bound)


def sync_cache_control(
    pipeline: str, functions: Iterable[GuardedFunction], function: Callable[..., Any]
) -> SyncCacheControl[Any, Any]:
    """The handle of a plain function's cache.

    :raises ValueError: the pipeline does not guard the function, or it is an async one
    :raises CortenError: it has no cache
    """
    guarded, bound = _found(pipeline, functions, function)
    if guarded.flavor != "sync":
        raise ValueError(f"{guarded.function.__qualname__} is an async function: its cache is pipeline.cache(…)")
    return SyncCacheControl(pipeline, guarded, guarded.function, bound)


def _found(
    pipeline: str, functions: Iterable[GuardedFunction], function: Callable[..., Any]
) -> tuple[GuardedFunction, tuple[Any, ...]]:
    bare = getattr(function, "__func__", function)
    bound: tuple[Any, ...] = () if bare is function else (getattr(function, "__self__", None),)
    for guarded in functions:
        if guarded.function is bare or guarded.original is bare:
            return guarded, bound
    raise ValueError(
        f"pipeline {pipeline!r} does not guard {getattr(function, '__qualname__', function)!r}: give the function that "
        "it decorates"
    )


def caches_of(guarded: GuardedFunction) -> Iterator[FunctionCache]:
    """The caches around a function, outermost first."""
    place = 0
    while isinstance(cache := guarded.kept(("cache", place)), FunctionCache):
        yield cache
        place += 1


def statistics_of(functions: Iterable[GuardedFunction]) -> tuple[FunctionCacheStatistics, ...]:
    """The statistics of all functions' caches, by name and place; those of one name are added up."""
    found: dict[tuple[str, int], FunctionCacheStatistics] = {}
    for guarded in list(functions):
        for place, cache in enumerate(caches_of(guarded)):
            seen = cache.statistics(place)
            before = found.get((seen.function, place))
            found[seen.function, place] = seen if before is None else _summed(before, seen)
    return tuple(found[each] for each in sorted(found))


S = TypeVar("S", bound=msgspec.Struct)


def _summed(one: S, other: S) -> S:
    fields: dict[str, Any] = {}
    for name in one.__struct_fields__:
        mine, its = getattr(one, name), getattr(other, name)
        if isinstance(mine, msgspec.Struct):
            fields[name] = _summed(mine, its)
        elif isinstance(mine, int) and name != "place":
            fields[name] = mine + its
    return msgspec.structs.replace(one, **fields)


def _arguments(each: Any) -> tuple[Any, ...]:
    if not isinstance(each, tuple):
        return (each,)
    found: Any = each  # pyright: ignore[reportUnknownVariableType]
    return found  # type: ignore[no-any-return]


async def _drawn(calls: Iterable[Any]) -> AsyncIterator[Any]:
    for each in calls:
        yield each
