"""A cache in front of a sync function: threads share calls."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from corten.event_loop import in_event_loop
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.cache.function_cache import FunctionCache
from corten.pipeline.layers.cache.single_flight import Flight, enter, leave, waiting_for


class SyncCache(FunctionCache):
    """Results of a sync function. A thread that runs an event loop never waits: it makes the call itself."""

    def on_miss(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Make the call, or wait for the call that another thread makes."""
        refreshing = self._refreshes_early and key in self.results
        if refreshing and key in self._flights and (found := self.results.stale(key)) is not None:
            self._count_hit()
            return found[0]
        while True:
            flight = self._flights.get(key)
            if flight is None:
                mine = Flight()
                mine.refreshing = refreshing
                mine.lock = threading.Lock()
                mine.lock.acquire()
                flight = self._flights.setdefault(key, mine)
                if flight is mine:
                    return self._make(key, flight, args, kwargs)
            with self._counted_wait(), waiting_for(flight, self.name):
                must_not_wait = in_event_loop()
                if not must_not_wait:
                    flight.wait_sync()
            if must_not_wait:
                return self._make(key, Flight(), args, kwargs)
            if flight.succeeded or flight.error is not None:
                found = self._joined(flight, key)
                if found is MISS and flight.error is not None:
                    raise flight.error.with_traceback(flight.traceback)  # here: no frame more in the traceback
                return found
            # The thread that made the call was interrupted: the first waiter to come round makes it now.

    def _make(self, key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        outer = enter(flight)
        try:
            begun = self._clock.now() if self._refreshes_early else 0.0
            value = self._inside(*args, **kwargs)
            cost = self._clock.now() - begun if self._refreshes_early else 0.0
            self._keep_unless_outdated(flight, key, value, args, kwargs, cost)
            flight.succeed(value)
            return value
        except Exception as error:
            flight.fail(error)
            stale = self._stale(key, error)
            if stale is not MISS:
                return stale
            raise
        finally:
            leave(flight, outer)
            self._release(key, flight)
