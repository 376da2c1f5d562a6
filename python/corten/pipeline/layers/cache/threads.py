"""A cache in front of a plain function: threads share calls."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from corten.event_loop import in_event_loop
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.cache.flights import Flight, enter, leave, waited_for
from corten.pipeline.layers.cache.function_cache import FunctionCache


class BlockingCache(FunctionCache):
    """In front of a plain function. A thread that runs an event loop waits for nobody: it makes the call itself."""

    def on_miss(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Make the call, or wait for the one that another thread makes."""
        refreshing = self._timed and key in self.results
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
            with self._joining(), waited_for(flight, self.name):
                makes_it = in_event_loop()
                if not makes_it:
                    flight.wait_sync()
            if makes_it:
                return self._make(key, Flight(), args, kwargs)
            if flight.landed:
                self._joined(flight)
                return flight.value
            if flight.error is not None:
                late = self._stale(key, flight.error)
                if late is not MISS:
                    self._count_hit()
                    return late
                self._joined(flight)
                raise flight.error.with_traceback(flight.traceback)
            # Who made the call was interrupted: the first to come round makes it now.

    def _make(self, key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        outer = enter(flight)
        try:
            begun = self._clock.now() if self._timed else 0.0
            value = self._inside(*args, **kwargs)
            cost = self._clock.now() - begun if self._timed else 0.0
            self._landed(flight, key, value, args, kwargs, cost)
            flight.land(value)
            return value
        except Exception as error:
            flight.fail(error)
            late = self._stale(key, error)
            if late is not MISS:
                return late
            raise
        finally:
            leave(flight, outer)
            self._release(key, flight)
