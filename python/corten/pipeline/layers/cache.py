"""A cache in front of a function: misses, single flight, the shared tier."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from threading import get_ident
from types import TracebackType
from typing import Any, cast

import anyio

from corten._core import CacheLookup, MemoryCache, PipelineCounts
from corten.clock import Clock
from corten.pipeline.absent import MISS
from corten.pipeline.form import Form, name_of, result_type
from corten.pipeline.layers.layer import Site, Wrapped
from corten.pipeline.layers.shared_results import SharedResults
from corten.pipeline.traceback import trimmed
from corten.policies.cache import Cache


class _Flight:
    """One call under way, for all who want its result."""

    __slots__ = ("ended", "error", "landed", "traceback", "value")

    def __init__(self) -> None:
        self.ended: anyio.Event | None = None  # made by the first who waits: mostly nobody does
        self.landed = False
        self.value: Any = None
        self.error: Exception | None = None
        self.traceback: TracebackType | None = None


class FunctionCache:
    """One function's results, and the calls for them that are under way.

    The first caller's task makes the call; if that is cancelled the next waiter makes it. Flights are shared within a
    thread, which is where an event loop's tasks are.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        policy: Cache,
        clock: Clock,
        counts: PipelineCounts,
        *,
        outermost: bool,
        previous: FunctionCache | None = None,
    ) -> None:
        self.policy = policy
        self._function = function
        self._counts = counts
        self._outermost = outermost
        self._flights: dict[tuple[int, Any], _Flight] = {}
        if previous is not None and previous._keeps(policy, clock):
            self.results: MemoryCache[Any, Any] = previous.results
        else:
            self.results = MemoryCache(
                policy.max_entries, max_bytes=policy.max_bytes, ttl=policy.ttl, eviction=policy.eviction, clock=clock
            )
        self._clock = clock
        self.lookup = CacheLookup(self.results, counts if outermost else None, MISS, self._explain).lookup
        self.inner: Callable[..., Any] = function
        """What is called for a miss."""
        self.shared: SharedResults | None = None

    def _keeps(self, policy: Cache, clock: Clock) -> bool:
        mine = self.policy
        same = (mine.ttl, mine.max_entries, mine.max_bytes, mine.eviction, mine.version)
        return clock is self._clock and same == (
            policy.ttl,
            policy.max_entries,
            policy.max_bytes,
            policy.eviction,
            policy.version,
        )

    def _explain(self, key: object, error: TypeError) -> TypeError:
        """The error for arguments that are no key: which function, which argument."""
        try:
            parameters = list(inspect.signature(self._function).parameters)
        except (TypeError, ValueError):
            parameters = []
        if parameters and parameters[0] in ("self", "cls"):
            del parameters[0]
        parts = cast("tuple[object, ...]", key) if isinstance(key, tuple) else (key,)
        for place, each in enumerate(parts):
            try:
                hash(each)
            except TypeError:
                name = repr(parameters[place]) if place < len(parameters) else f"number {place + 1}"
                return TypeError(
                    f"{name_of(self._function)}: argument {name} of type {type(each).__name__} can't be part of a "
                    "cache's key, as it is not hashable: pass a tuple or a frozen struct, or leave Cache out"
                )
        return error

    async def on_miss(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Make the call, or wait for the one that is under way."""
        place = (get_ident(), key)
        while (flight := self._flights.get(place)) is not None:
            if flight.ended is None:
                flight.ended = anyio.Event()
            await flight.ended.wait()
            if flight.landed:
                self._count_hit()
                return flight.value
            if flight.error is not None:
                if self._outermost:
                    self._counts.shared_error()
                raise flight.error.with_traceback(flight.traceback)
            # Who made the call was cancelled: the first to come round makes it now.
        flight = self._flights[place] = _Flight()
        try:
            value = await self._produce(key, args, kwargs)
        except Exception as error:
            flight.error, flight.traceback = error, trimmed(error)
            error.__traceback__ = flight.traceback
            raise
        else:
            flight.value, flight.landed = value, True
            return value
        finally:
            del self._flights[place]
            if flight.ended is not None:
                flight.ended.set()

    async def _produce(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        shared = self.shared
        if shared is None:
            value = await self.inner(*args, **kwargs)
            self.results[key] = value
            return value
        found = await shared.get(key)
        if found is not MISS:
            self._count_hit()
            self.results[key] = found
            return found
        value = await self.inner(*args, **kwargs)
        self.results[key] = value
        await shared.set(key, value)
        return value

    def on_blocking_miss(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Make the call of a plain function; no waiting for one under way, and no shared tier."""
        try:
            value = self.inner(*args, **kwargs)
        except Exception as error:
            error.__traceback__ = trimmed(error)
            raise
        self.results[key] = value
        return value

    def _count_hit(self) -> None:
        if self._outermost:
            self._counts.hit()


class CacheLayer:
    """A cache, asked before what is inside it begins."""

    word = "cache"

    def __init__(self, policy: Cache) -> None:
        self._policy = policy

    def objection(self, form: Form, function: str) -> str | None:  # noqa: ARG002 - it guards whatever can be called
        """None: it guards whatever can be called."""
        return None

    def put(self, site: Site) -> Wrapped:
        """Put it in front of what is inside; results stay where only what they don't depend on changes."""
        policy, around = self._policy, site.around
        old = site.kept if isinstance(site.kept, FunctionCache) else None
        cache = FunctionCache(
            site.function, policy, around.clock, around.counts, outermost=site.outermost, previous=old
        )
        cache.inner = site.inside
        names = {"lookup": cache.lookup, "MISS": MISS}
        if site.form.kind == "plain":
            return Wrapped("blocking_cached", {**names, "on_miss": cache.on_blocking_miss}, kept=cache)
        if policy.shared and around.tiers:
            prefix = f"{around.pipeline}:{site.function.__module__}.{site.name}"
            result = result_type(site.function, site.form.kind)
            cache.shared = SharedResults(around.tiers[0], prefix, policy.version, result, policy.ttl)
        return Wrapped("cached", {**names, "on_miss": cache.on_miss}, kept=cache)
