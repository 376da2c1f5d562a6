"""Results of one function: keeping, invalidating, stale results and counts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, cast

from msgspec.structs import replace

from corten._core import CacheLookup, MemoryCache
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.cache.entry_options import EntryOptions, EntryRules
from corten.pipeline.layers.cache.keys import Key, Values
from corten.pipeline.layers.cache.shared_results import SharedResults
from corten.pipeline.layers.cache.single_flight import Flight
from corten.pipeline.layers.layer import WrapContext
from corten.pipeline.telemetry.statistics import FunctionCacheStatistics
from corten.policies.cache import Cache

Counted = Literal["joined", "shared_hits", "soft_timeouts", "hard_timeouts", "background_errors"]
_RESULTS_DEPEND_ON = ("eviction", "version", "key")
"""Fields that make kept results useless when they change."""
_CONSTANT = EntryOptions(None, ())


class FunctionCache:
    """One function's results and its calls under way; the base of `AsyncCache` and `SyncCache`."""

    def __init__(self, policy: Cache, wrap_context: WrapContext) -> None:
        self.policy = policy
        self.name = wrap_context.function_name
        self._wrap_context = replace(wrap_context, kept=None)  # or each cache would hold all caches before it
        self._clock = wrap_context.pipeline.clock
        self._inside = wrap_context.inside
        self.key = Key(policy, wrap_context.function, wrap_context.signature)
        values = Values(wrap_context.function, wrap_context.signature)
        self._rules = EntryRules(policy, wrap_context.function_name, values)
        self._has_constant_options = self._rules.are_constant
        self.shared: SharedResults | None = None
        self._flights: dict[Any, Flight] = {}
        """By flight key: the key, for async functions with the thread."""
        self._refreshes_early = policy.early_refresh > 0
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
            and all(getattr(before, name) == getattr(policy, name) for name in _RESULTS_DEPEND_ON)
            and (before.max_bytes is None) == (policy.max_bytes is None)  # nothing was weighed before
        )

    def configure_results(self) -> None:
        """Apply the policy to results kept by an earlier one: caps at once, times from the next result on."""
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

    def keep(
        self, key: Any, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], cost: float = 0.0
    ) -> EntryOptions | None:
        """Keep a result, and return its options, or None for a result that is not kept."""
        if self._has_constant_options and not cost:
            self.results[key] = value
            return _CONSTANT
        options = self._rules.options_of(value, args, kwargs)
        if options is None:
            self.results.pop(key, None)  # the result from before is outdated
        else:
            self.results.set(key, value, options.ttl, tags=options.tags, cost=cost)
        return options

    def get(self, key: Any) -> Any:
        """Return a good result, or MISS; counts nothing."""
        if key not in self.results:
            return MISS
        found = self.results.stale(key)
        return found[0] if found is not None else MISS

    def invalidate(self, key: Any) -> bool:
        """Forget a result and the call under way; return whether there was a result."""
        self.forget_flights(key)
        return self.results.invalidate(key)

    def invalidate_tag(self, tag: str) -> int:
        """Forget the results with a tag, and return their number."""
        self.forget_flights()  # all of them: the tags of calls under way are not known yet
        return self.results.invalidate_tag(tag)

    def invalidate_matching(self, pattern: str) -> int:
        """Forget the results with a tag or key that matches, and all calls under way; return their number."""
        self.forget_flights()
        return self.results.invalidate_matching(pattern)

    def clear(self) -> None:
        """Forget all results and all calls under way."""
        self.forget_flights()
        self.results.clear()

    def _keep_unless_outdated(
        self, flight: Flight, key: Any, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], cost: float
    ) -> EntryOptions | None:
        """Keep a flight's result, unless its key was invalidated since the flight began."""
        if flight.is_outdated():
            return None
        options = self.keep(key, value, args, kwargs, cost)
        if flight.is_outdated():  # by another thread, while it was being kept
            self.results.invalidate(key)
            return None
        return options

    def forget_flights(self, key: Any = MISS) -> None:
        """Let no later caller join the calls under way, and don't keep their results.

        :param key: forget only this key's call
        """
        for flight_key, flight in list(self._flights.items()):
            if key is MISS or self._key_of(flight_key) == key:
                flight.keep = False
                self._flights.pop(flight_key, None)

    def _key_of(self, flight_key: Any) -> Any:
        return flight_key

    def _release(self, flight_key: Any, flight: Flight) -> None:
        # Another thread may forget the flight here and a third begin a new one: no later caller joins that one.
        if self._flights.get(flight_key) is flight:
            self._flights.pop(flight_key, None)
        flight.end()

    def _stale(self, key: Any, error: Exception | None) -> Any:
        """Return a stale result instead of the error, or MISS. A result that was to be refreshed early may be good."""
        found = self.results.stale(key) if self.policy.stale or self._refreshes_early else None
        if found is None:
            return MISS
        self._wrap_context.pipeline.events.emit("degraded", "cache", error)
        return found[0]

    def on_miss(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return the value, or an awaitable of the value, for a key without a result."""
        raise NotImplementedError

    # -- counts

    def count(self, what: Counted) -> None:
        """Count a rare event, from any thread."""
        with self._lock:
            self._counted[what] += 1

    def _count_hit(self) -> None:
        if self._wrap_context.outermost:
            self._wrap_context.pipeline.counts.hit()

    def statistics(self, place: int = 0) -> FunctionCacheStatistics:
        """Return the counts."""
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
            callback_errors=self._rules.callback_errors,
            place=place,
        )

    @contextmanager
    def _counted_wait(self) -> Generator[None]:
        """Count a caller whose wait for another caller's flight raises."""
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

    def _joined(self, flight: Flight, key: Any) -> Any:
        """Return what an ended flight gives a caller that waited for it; MISS: raise the flight's error."""
        if not flight.succeeded:
            stale = self._stale(key, flight.error)
            if stale is not MISS:
                self._count_hit()
                return stale
        self.count("joined")
        if flight.succeeded:
            self._count_hit()
            return flight.value
        if self._wrap_context.outermost:
            self._wrap_context.pipeline.counts.shared_error()
        return MISS
