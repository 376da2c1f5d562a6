"""A cache in front of an async function: tasks share calls, and wait no longer than they must."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from threading import get_ident
from typing import Any, cast

from corten.errors import DeadlineExceeded
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.cache.flights import Flight, enter, leave, waited_for
from corten.pipeline.layers.cache.function_cache import FunctionCache
from corten.pipeline.layers.layer import WrapContext
from corten.policies.cache import Cache


class AsyncCache(FunctionCache):
    """In front of an async function.

    The first caller's task makes the call; if that is cancelled the next waiter makes it. Flights are shared within a
    thread, which is where an event loop's tasks are.
    """

    def __init__(self, policy: Cache, wrap_context: WrapContext) -> None:
        super().__init__(policy, wrap_context)
        self._soft = cast("float | None", policy.soft_timeout)
        self._hard = cast("float | None", policy.hard_timeout)
        self._is_simple = self._soft is None and self._hard is None and not self._timed

    def _key_at(self, place: Any) -> Any:
        return place[1]

    def on_miss(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Coroutine[Any, Any, Any]:
        """Make the call, or wait for the one that is under way."""
        place = (get_ident(), key)
        if self._is_simple and self.shared is None and place not in self._flights:
            return self._make_simply(place, args, kwargs)
        return self._make_or_join(place, args, kwargs)

    async def _make_simply(self, place: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What :meth:`_make` does where nothing but the call is to be awaited, in a single frame."""
        flight = self._flights[place] = Flight()
        outer = enter(flight)
        try:
            value = await self._inside(*args, **kwargs)
            if self._are_plain and flight.keep:
                self.results[place[1]] = value
                if flight.is_outdated():  # by another thread, while it was being kept
                    self.results.invalidate(place[1])
            else:
                self._landed(flight, place[1], value, args, kwargs, 0.0)
            flight.value, flight.landed = value, True
            return value
        except Exception as error:
            flight.fail(error)
            found = self._stale(place[1], error)
            if found is not MISS:
                return found
            raise
        finally:
            leave(flight, outer)
            self._release(place, flight)

    async def _make_or_join(self, place: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        key = place[1]
        refreshing = self._timed and key in self.results
        if refreshing and (place in self._flights or self._in_background(place, _refreshing(), args, kwargs)):
            found = self.results.stale(key)
            if found is not None:
                self._count_hit()
                return found[0]
        soft = self._soft
        while True:
            flight = self._flights.get(place)
            if flight is None:
                flight = _refreshing() if refreshing else Flight()
                hurried = soft is not None and self.results.has_stale(key)
                if not (hurried and self._in_background(place, flight, args, kwargs)):
                    return await self._make(place, flight, args, kwargs, soft if hurried else None)
            ended = True
            with self._joining(), waited_for(flight, self.name):
                if soft is None or not self.results.has_stale(key):
                    await flight.wait()
                else:
                    ended = False
                    with self._clock.move_on_after(soft):
                        await flight.wait()
                        ended = True
            if not ended:
                late = self._late(key, soft or 0.0)
                if late is not MISS:
                    self._count_hit()
                    return late
                continue
            if flight.landed:
                self._joined(flight)
                return flight.value
            if flight.error is not None:
                found = self._stale(key, flight.error)
                if found is not MISS:
                    self._count_hit()
                    return found
                self._joined(flight)
                raise flight.error.with_traceback(flight.traceback)
            # Who made the call was cancelled: the first to come round makes it now.

    def _in_background(self, place: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        background = self._wrap_context.pipeline.background
        if background is None:
            return False
        self._flights[place] = flight
        if background.start(self._fly, place, flight, args, kwargs):
            return True
        del self._flights[place]
        return False

    async def _fly(self, place: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """In the background: an error is for those who wait, and counted."""
        outer = enter(flight)
        try:
            await self._limited(place[1], flight, args, kwargs)
        except Exception as error:  # noqa: BLE001 - told to who waits
            flight.fail(error)
            self.count("background_errors")
        finally:
            leave(flight, outer)
            self._release(place, flight)

    async def _make(
        self, place: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any], soft: float | None
    ) -> Any:
        """In the caller's own task."""
        key = place[1]
        self._flights[place] = flight
        outer = enter(flight)
        try:
            if soft is None:
                return await self._limited(key, flight, args, kwargs)
            return await self._hurried(soft, key, flight, args, kwargs)
        except Exception as error:
            flight.fail(error)
            found = self._stale(key, error)
            if found is not MISS:
                return found
            raise
        finally:
            leave(flight, outer)
            self._release(place, flight)

    async def _hurried(
        self, soft: float, key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """The call, given up when there is a stale result and nobody to finish it."""
        value: Any = MISS
        with self._clock.move_on_at(self._clock.now() + soft):
            value = await self._limited(key, flight, args, kwargs)
        if value is not MISS:
            return value
        late = self._late(key, soft)
        if late is MISS:
            raise self._exceeded(soft)
        return late

    async def _limited(self, key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The call, within its hard limit."""
        hard = self._hard
        if hard is None:
            return await self._produce(key, flight, args, kwargs)
        value: Any = MISS
        with self._clock.move_on_at(self._clock.now() + hard):
            value = await self._produce(key, flight, args, kwargs)
        if value is not MISS:
            return value
        error = self._exceeded(hard)
        self.count("hard_timeouts")
        self._wrap_context.pipeline.events.emit("timed_out", "cache", error, seconds=hard)
        raise error

    async def _produce(self, key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        shared = self.shared
        if shared is not None and not flight.refreshing:
            found = await shared.get(key)
            if found is not MISS:
                self.count("shared_hits")
                self._count_hit()
                self._landed(flight, key, found, args, kwargs, 0.0)
                flight.land(found)
                return found
        begun = self._clock.now() if self._timed else 0.0
        value = await self._inside(*args, **kwargs)
        cost = self._clock.now() - begun if self._timed else 0.0
        terms = self._landed(flight, key, value, args, kwargs, cost)
        flight.land(value)
        if shared is not None and terms is not None:
            await shared.set(key, value, *terms)
            if not flight.keep:  # invalidated while it was written
                await shared.delete(key)
        return value

    def _late(self, key: Any, soft: float) -> Any:
        """What answers a caller who has waited long enough; MISS where it is too old by now."""
        late = self._stale(key, self._exceeded(soft))
        if late is not MISS:
            self.count("soft_timeouts")
        return late

    def _exceeded(self, seconds: float) -> DeadlineExceeded:
        return DeadlineExceeded(f"pipeline {self._wrap_context.pipeline.name!r}: {self.name}", seconds)


def _refreshing() -> Flight:
    flight = Flight()
    flight.refreshing = True
    return flight
