"""What the caches of async and plain functions have in common: keeping, invalidating, stale results, counts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, cast

from msgspec.structs import replace

from corten._core import CacheLookup, MemoryCache
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.cache.flights import Flight
from corten.pipeline.layers.cache.keys import Key, Values
from corten.pipeline.layers.cache.shared_results import SharedResults
from corten.pipeline.layers.cache.terms import TermsOf
from corten.pipeline.layers.layer import WrapContext
from corten.pipeline.telemetry.statistics import FunctionCacheStatistics
from corten.policies.cache import Cache

Counted = Literal["joined", "shared_hits", "soft_timeouts", "hard_timeouts", "background_errors"]
_DEPENDS_ON = ("eviction", "version", "key")
"""The fields of which another value makes the kept results useless."""


class FunctionCache:
    """One function's results, and the calls for them that are under way."""

    def __init__(self, policy: Cache, wrap_context: WrapContext) -> None:
        self.policy = policy
        self.name = wrap_context.function_name
        self._wrap_context = replace(wrap_context, kept=None)  # or each would hold all that were before it
        self._clock = wrap_context.pipeline.clock
        self._inside = wrap_context.inside
        self.key = Key(policy, wrap_context.function, wrap_context.signature)
        self.terms = TermsOf(policy, wrap_context.function_name, Values(wrap_context.function, wrap_context.signature))
        self._are_plain = self.terms.are_plain
        self.shared: SharedResults | None = None
        self._flights: dict[Any, Flight] = {}
        """By key; for async functions by thread and key, as an event loop's tasks are in one thread."""
        self._timed = policy.early_refresh > 0
        self._counted: Counter[Counted] = Counter()
        self._lock = threading.RLock()  # see PipelineEvents: finalizers come at any moment
        old = wrap_context.kept
        if isinstance(old, FunctionCache) and old._keeps_for(policy, wrap_context):
            self.results: MemoryCache[Any, Any] = old.results
            self._flights = old._flights
            self._counted, self._lock = old._counted, old._lock
        else:
            self.results = MemoryCache(
                policy.max_entries,
                max_bytes=policy.max_bytes,
                ttl=cast("float | None", policy.ttl),
                eviction=policy.eviction,
                clock=self._clock,
                jitter=policy.jitter,
                stale=cast("float", policy.stale),
                early_refresh=policy.early_refresh,
            )
        counts = wrap_context.pipeline.counts if wrap_context.outermost else None
        self.lookup = CacheLookup(self.results, counts, MISS, self.key.explain).lookup

    def _keeps_for(self, policy: Cache, wrap_context: WrapContext) -> bool:
        before = self.policy
        return (
            wrap_context.pipeline.clock is self._clock
            and all(getattr(before, name) == getattr(policy, name) for name in _DEPENDS_ON)
            and (before.max_bytes is None) == (policy.max_bytes is None)  # nothing was weighed before
        )

    def configure_results(self) -> None:
        """Make results that another policy kept what this one says: caps at once, times from the next result on."""
        policy = self.policy
        self.results.configure(
            policy.max_entries,
            policy.max_bytes,
            cast("float | None", policy.ttl),
            policy.jitter,
            cast("float", policy.stale),
            policy.early_refresh,
        )

    # -- results

    def keep(self, key: Any, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], cost: float = 0.0) -> Any:
        """Keep a result on its terms; gives those back, or None where it is not kept."""
        if self._are_plain and not cost:
            self.results[key] = value
            return ()
        terms = self.terms.of(value, args, kwargs)
        if terms is None:
            self.results.pop(key, None)  # what was there before is no longer so
        else:
            self.results.set(key, value, terms.ttl, tags=terms.tags, cost=cost)
        return terms

    def get(self, key: Any) -> Any:
        """A result that is good, or MISS; counts nothing."""
        if key not in self.results:
            return MISS
        found = self.results.stale(key)
        return found[0] if found is not None else MISS

    def invalidate(self, key: Any) -> bool:
        """Forget a result, and that of the call which is under way; whether there was one."""
        self.forget_flights(key)
        return self.results.invalidate(key)

    def invalidate_tag(self, tag: str) -> int:
        """Forget the results with a tag, and all under way, whose tags nobody knows yet; how many there were."""
        self.forget_flights()
        return self.results.invalidate_tag(tag)

    def invalidate_matching(self, pattern: str) -> int:
        """Forget the results with a tag or key that is as the pattern says, and all under way; how many there were."""
        self.forget_flights()
        return self.results.invalidate_matching(pattern)

    def clear(self) -> None:
        """Forget all results, also those under way."""
        self.forget_flights()
        self.results.clear()

    def _landed(
        self, flight: Flight, key: Any, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], cost: float
    ) -> Any:
        """Keep a flight's result, unless what it is about was invalidated since the flight began."""
        if flight.is_outdated():
            return None
        terms = self.keep(key, value, args, kwargs, cost)
        if flight.is_outdated():  # by another thread, while it was being kept
            self.results.invalidate(key)
            return None
        return terms

    def forget_flights(self, key: Any = MISS) -> None:
        """Whoever calls from now on does not join what is under way, and its result is not kept.

        :param key: of the one; by default all
        """
        for place, flight in list(self._flights.items()):
            if key is MISS or self._key_at(place) == key:
                flight.keep = False
                self._flights.pop(place, None)

    def _key_at(self, place: Any) -> Any:
        return place

    def _release(self, place: Any, flight: Flight) -> None:
        # Another thread may forget it meanwhile, and a third begin anew: that one is then shared by nobody, no more.
        if self._flights.get(place) is flight:
            self._flights.pop(place, None)
        flight.end()

    def _stale(self, key: Any, error: Exception | None) -> Any:
        """A result that is better than the error, or MISS. It may be good, where it was to be made anew early."""
        found = self.results.stale(key) if self._may_be_stale else None
        if found is None:
            return MISS
        self._wrap_context.pipeline.events.emit("degraded", "cache", error)
        return found[0]

    @property
    def _may_be_stale(self) -> bool:
        return bool(self.policy.stale) or self._timed

    def on_miss(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The value, or an awaitable of it, of a call whose result is not there."""
        raise NotImplementedError

    # -- counts

    def count(self, what: Counted) -> None:
        """Count something that happens seldom, from any thread."""
        with self._lock:
            self._counted[what] += 1

    def _count_hit(self) -> None:
        if self._wrap_context.outermost:
            self._wrap_context.pipeline.counts.hit()

    def statistics(self, place: int = 0) -> FunctionCacheStatistics:
        """What it has counted, and what it holds."""
        with self._lock:
            counted = dict(self._counted)
        return FunctionCacheStatistics(
            function=self.name,
            results=self.results.statistics(),
            under_way=len(self._flights),
            joined=counted.get("joined", 0),
            shared_hits=counted.get("shared_hits", 0),
            soft_timeouts=counted.get("soft_timeouts", 0),
            hard_timeouts=counted.get("hard_timeouts", 0),
            background_errors=counted.get("background_errors", 0),
            callback_errors=self.terms.callback_errors,
            place=place,
        )

    @contextmanager
    def _joining(self) -> Generator[None]:
        """Count a caller who waits for a call of another one, where nothing comes of the waiting."""
        try:
            yield
        except BaseException as error:
            if self._wrap_context.outermost:
                counts = self._wrap_context.pipeline.counts
                if isinstance(error, Exception):
                    counts.shared_error()
                else:
                    counts.shared_cancelled()
            raise

    def _joined(self, flight: Flight) -> None:
        self.count("joined")
        if flight.landed:
            self._count_hit()
        elif self._wrap_context.outermost:
            self._wrap_context.pipeline.counts.shared_error()
