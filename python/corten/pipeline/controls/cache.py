"""Controls of a function's cache: look up, set and invalidate results while the pipeline runs."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, cast

import anyio
import msgspec

from corten.errors import CortenError
from corten.pipeline.functions.function import GuardedFunction
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.cache import FunctionCache
from corten.pipeline.layers.cache.entry_options import EntryOptions
from corten.pipeline.layers.cache.shared_results import SharedResults
from corten.pipeline.telemetry.statistics import FunctionCacheStatistics

P = ParamSpec("P")
R = TypeVar("R")


class Warming(msgspec.Struct, frozen=True):
    """Outcome of filling a cache ahead of time."""

    succeeded: int
    """Calls whose result is in the cache now, including results that were there before."""
    failed: int
    """Calls that raised."""
    error: Exception | None = None
    """The error of the last call that raised."""


class _Caches:
    """The caches around one function."""

    def __init__(self, pipeline: str, function: GuardedFunction, bound: tuple[Any, ...]) -> None:
        self.function = function
        self.bound = bound
        self._pipeline = pipeline
        self.all()  # raises for a function without a cache

    def all(self) -> list[FunctionCache]:
        """Return the caches around the function, outermost first, by the policies in force now."""
        found = list(caches_of(self.function))
        if not found:
            raise CortenError(f"pipeline {self._pipeline!r} has no cache: its policies have no Cache among them")
        return found

    def keys(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[FunctionCache, Any]]:
        """Return each cache with its key of a call."""
        return [(cache, cache.key.checked(*self.bound, *args, **kwargs)) for cache in self.all()]

    def find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a result in this process, or MISS."""
        for cache, key in self.keys(args, kwargs):
            if (value := cache.get(key)) is not MISS:
                return value
        return MISS

    def set(
        self, value: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[tuple[FunctionCache, Any, EntryOptions]]:
        """Set a result in this process, and return the caches that keep it, with key and options."""
        kept: list[tuple[FunctionCache, Any, EntryOptions]] = []
        for cache, key in self.keys(args, kwargs):
            cache.forget_flights(key)
            options = cache.keep(key, value, (*self.bound, *args), kwargs)
            if options is not None:
                kept.append((cache, key, options))
        return kept


class SyncCacheControl(Generic[P, R]):
    """Control of a sync function's cache, in this process only.

    Arguments are those of a call, ``self`` of methods included unless the control was made for a bound method.
    """

    def __init__(self, caches: _Caches) -> None:
        self._caches = caches

    def __repr__(self) -> str:
        seen = self.statistics()
        return f"<cache of {seen.function}: {seen.results.entries} results, {seen.results.hit_ratio:.0%} hits>"

    def get(self, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Return the result that a call would get without being made, or None. Counts nothing."""
        value = self._caches.find(args, kwargs)
        return None if value is MISS else cast("R", value)

    def set(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Set the result of calls with these arguments, as the policy keeps results."""
        self._caches.set(value, args, kwargs)

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of calls with these arguments; return whether there was one."""
        return sum(cache.invalidate(key) for cache, key in self._caches.keys(args, kwargs)) > 0

    def invalidate_tag(self, tag: str) -> int:
        """Forget all results that have a tag, and return their number."""
        return sum(cache.invalidate_tag(tag) for cache in self._caches.all())

    def invalidate_matching(self, pattern: str) -> int:
        """Forget all results with a tag or key that matches the pattern, and return their number.

        :raises ValueError: the pattern ends with a single backslash
        """
        return sum(cache.invalidate_matching(pattern) for cache in self._caches.all())

    def clear(self) -> None:
        """Forget all results."""
        for cache in self._caches.all():
            cache.clear()

    def warm(self, calls: Iterable[Any]) -> Warming:
        """Make calls ahead of time, one after another, through all policies; failures are counted."""
        succeeded = failed = 0
        last: Exception | None = None
        for each in calls:
            try:
                self._caches.function.function(*self._caches.bound, *_arguments(each))
            except Exception as error:  # noqa: BLE001 - returned with the counts
                failed, last = failed + 1, error
            else:
                succeeded += 1
        return Warming(succeeded, failed, last)

    def statistics(self) -> FunctionCacheStatistics:
        """Return the counts; of several caches around the function, those of the outermost."""
        return self._caches.all()[0].statistics()


class CacheControl(Generic[P, R]):
    """Control of an async function's cache, valid as long as the function.

    Invalidation holds for this process and the shared tier. Calls under way neither keep their results nor accept more
    callers: a caller after an invalidation gets a result made after it. Arguments are those of a call, ``self`` of
    methods included unless the control was made for a bound method.
    """

    def __init__(self, caches: _Caches) -> None:
        self._caches = caches
        self._local: SyncCacheControl[P, R] = SyncCacheControl(caches)

    def __repr__(self) -> str:
        return repr(self._local)

    async def get(self, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Return the result that a call would get without being made, or None. Counts nothing."""
        value = self._caches.find(args, kwargs)
        if value is MISS:
            for shared, key in self._shared_keys(args, kwargs):
                if (value := await shared.get(key)) is not MISS:
                    break
        return None if value is MISS else cast("R", value)

    async def set(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Set the result of calls with these arguments, as the policy keeps results."""
        for cache, key, options in self._caches.set(value, args, kwargs):
            if cache.shared is not None:
                await cache.shared.set(key, value, *options)

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of calls with these arguments; return whether this process had one."""
        was_there = self._local.invalidate(*args, **kwargs)
        for shared, key in self._shared_keys(args, kwargs):
            await shared.delete(key)
        return was_there

    async def invalidate_tag(self, tag: str) -> int:
        """Forget all results that have a tag, and return the number in this process.

        :raises CortenError: the shared tier does not know tags
        """
        count = self._local.invalidate_tag(tag)
        for shared in self._shared():
            await shared.delete_tag(tag)
        return count

    async def invalidate_matching(self, pattern: str) -> int:
        """Forget all results with a tag or key that matches (``user:*``), and return the number in this process.

        ``*`` is any text, ``?`` any one character; a backslash takes the next character literally. A key is matched by
        its ``str()``, a key of several arguments by theirs with colons between them. Walks all keys of both tiers.

        :raises ValueError: the pattern ends with a single backslash
        :raises CortenError: the shared tier does not know patterns
        """
        count = self._local.invalidate_matching(pattern)
        for shared in self._shared():
            await shared.delete_matching(pattern)
        return count

    async def clear(self) -> None:
        """Forget all results.

        :raises CortenError: the shared tier does not know patterns
        """
        self._local.clear()
        for shared in self._shared():
            await shared.delete_matching("*")

    async def warm(self, calls: Iterable[Any] | AsyncIterable[Any], *, concurrency: int = 10) -> Warming:
        """Make calls ahead of time, several at once, through all policies; failures are counted.

        :param calls: the arguments of each call: a tuple, or the only argument
        :param concurrency: calls at a time
        """
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency!r}; at least one call has to be made at a time")
        function = cast("Callable[..., Awaitable[Any]]", self._caches.function.function)
        source: AsyncIterator[Any] = aiter(calls) if isinstance(calls, AsyncIterable) else _async_iterator(calls)
        lock = anyio.Lock()
        succeeded = failed = 0
        last: Exception | None = None

        async def work() -> None:
            nonlocal succeeded, failed, last
            while True:
                async with lock:
                    try:
                        each = await anext(source)
                    except StopAsyncIteration:
                        return
                arguments = _arguments(each)
                try:
                    await function(*self._caches.bound, *arguments)
                except Exception as error:  # noqa: BLE001 - returned with the counts
                    failed, last = failed + 1, error
                else:
                    succeeded += 1

        async with anyio.create_task_group() as group:
            for _ in range(concurrency):
                group.start_soon(work)
        return Warming(succeeded, failed, last)

    def statistics(self) -> FunctionCacheStatistics:
        """Return the counts; of several caches around the function, those of the outermost."""
        return self._local.statistics()

    def _shared(self) -> list[SharedResults]:
        return [cache.shared for cache in self._caches.all() if cache.shared is not None]

    def _shared_keys(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[SharedResults, Any]]:
        return [(cache.shared, key) for cache, key in self._caches.keys(args, kwargs) if cache.shared is not None]


def cache_control(
    pipeline: str, functions: Iterable[GuardedFunction], function: Callable[..., Any]
) -> CacheControl[Any, Any]:
    """Return the control of an async function's cache.

    :param function: the function, guarded or bare, or a bound method
    :raises ValueError: the pipeline does not guard the function, or the function is sync
    :raises CortenError: the function has no cache
    """
    guarded, bound = _guarded(pipeline, functions, function)
    if guarded.flavor == "sync":
        raise ValueError(f"{guarded.function.__qualname__} is a sync function: its cache is pipeline.cache_sync(…)")
    return CacheControl(_Caches(pipeline, guarded, bound))


def sync_cache_control(
    pipeline: str, functions: Iterable[GuardedFunction], function: Callable[..., Any]
) -> SyncCacheControl[Any, Any]:
    """Return the control of a sync function's cache.

    :raises ValueError: the pipeline does not guard the function, or the function is async
    :raises CortenError: the function has no cache
    """
    guarded, bound = _guarded(pipeline, functions, function)
    if guarded.flavor != "sync":
        raise ValueError(f"{guarded.function.__qualname__} is an async function: its cache is pipeline.cache(…)")
    return SyncCacheControl(_Caches(pipeline, guarded, bound))


def _guarded(
    pipeline: str, functions: Iterable[GuardedFunction], function: Callable[..., Any]
) -> tuple[GuardedFunction, tuple[Any, ...]]:
    """Return the guarded function, and the instance that a method is bound to."""
    bare = getattr(function, "__func__", function)
    bound: tuple[Any, ...] = () if bare is function else (getattr(function, "__self__", None),)
    for guarded in functions:
        if guarded.function is bare or guarded.original is bare:
            return guarded, bound
    raise ValueError(
        f"pipeline {pipeline!r} does not guard {getattr(function, '__qualname__', function)!r}: give the function that "
        "it decorates"
    )


def caches_of(function: GuardedFunction) -> Iterator[FunctionCache]:
    """Yield the caches around a function, outermost first."""
    index = 0
    while isinstance(cache := function.kept(("cache", index)), FunctionCache):
        yield cache
        index += 1


def statistics_of(functions: Iterable[GuardedFunction]) -> tuple[FunctionCacheStatistics, ...]:
    """Return the statistics of all functions' caches, by name and place; functions of one name are added up."""
    found: dict[tuple[str, int], FunctionCacheStatistics] = {}
    for function in list(functions):
        for place, cache in enumerate(caches_of(function)):
            seen = cache.statistics(place)
            before = found.get((seen.function, place))
            found[seen.function, place] = seen if before is None else _sum(before, seen)
    return tuple(found[each] for each in sorted(found))


S = TypeVar("S", bound=msgspec.Struct)


def _sum(one: S, other: S) -> S:
    fields: dict[str, Any] = {}
    for name in one.__struct_fields__:
        mine, its = getattr(one, name), getattr(other, name)
        if isinstance(mine, msgspec.Struct):
            fields[name] = _sum(mine, its)
        elif isinstance(mine, int) and name != "place":
            fields[name] = mine + its
    return msgspec.structs.replace(one, **fields)


def _arguments(each: Any) -> tuple[Any, ...]:
    if not isinstance(each, tuple):
        return (each,)
    found: Any = each  # pyright: ignore[reportUnknownVariableType]
    return found  # type: ignore[no-any-return]


async def _async_iterator(calls: Iterable[Any]) -> AsyncIterator[Any]:
    for each in calls:
        yield each
