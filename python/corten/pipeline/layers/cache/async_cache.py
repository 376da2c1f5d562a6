"""A cache in front of an async function: tasks share calls, and slow calls give way to stale results."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from threading import get_ident
from typing import Any, cast

from corten.errors import DeadlineExceeded
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.cache.function_cache import FunctionCache
from corten.pipeline.layers.cache.single_flight import Flight, enter, leave, waiting_for
from corten.pipeline.layers.layer import WrapContext
from corten.policies.cache import Cache


class AsyncCache(FunctionCache):
    """Results of an async function.

    The first caller's task makes the call; if that task is cancelled, the next waiter makes the call. Flights are keyed
    by thread and key (``flight_key``), because the tasks of an event loop are in one thread.
    """

    def __init__(self, policy: Cache, wrap_context: WrapContext) -> None:
        super().__init__(policy, wrap_context)
        self._soft_timeout = cast("float | None", policy.soft_timeout)
        self._hard_timeout = cast("float | None", policy.hard_timeout)
        self._is_simple = self._soft_timeout is None and self._hard_timeout is None and not self._refreshes_early

    def _key_of(self, flight_key: Any) -> Any:
        return flight_key[1]

    def on_miss(self, key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Coroutine[Any, Any, Any]:
        """Make the call, or wait for the call that another task makes."""
        flight_key = (get_ident(), key)
        if self._is_simple and self.shared is None and flight_key not in self._flights:
            return self._make_simply(flight_key, args, kwargs)
        return self._make_or_join(flight_key, args, kwargs)

    async def _make_simply(self, flight_key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Do as :meth:`_make` in a single frame, where only the call itself is awaited."""
        flight = self._flights[flight_key] = Flight()
        outer = enter(flight)
        try:
            value = await self._inside(*args, **kwargs)
            if self._has_constant_options and flight.keep:
                self.results[flight_key[1]] = value
                if flight.is_outdated():  # by another thread, while it was being kept
                    self.results.invalidate(flight_key[1])
            else:
                self._keep_unless_outdated(flight, flight_key[1], value, args, kwargs, 0.0)
            flight.value, flight.succeeded = value, True
            return value
        except Exception as error:
            flight.fail(error)
            stale = self._stale(flight_key[1], error)
            if stale is not MISS:
                return stale
            raise
        finally:
            leave(flight, outer)
            self._release(flight_key, flight)

    async def _make_or_join(self, flight_key: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        key = flight_key[1]
        refreshing = self._refreshes_early and key in self.results
        if refreshing and (
            flight_key in self._flights or self._start_in_background(flight_key, _refreshing(), args, kwargs)
        ):
            found = self.results.stale(key)
            if found is not None:
                self._count_hit()
                return found[0]
        soft = self._soft_timeout
        while True:
            flight = self._flights.get(flight_key)
            if flight is None:
                flight = _refreshing() if refreshing else Flight()
                is_limited = soft is not None and self.results.has_stale(key)
                if not (is_limited and self._start_in_background(flight_key, flight, args, kwargs)):
                    return await self._make(flight_key, flight, args, kwargs, soft if is_limited else None)
            ended = True
            with self._counted_wait(), waiting_for(flight, self.name):
                if soft is None or not self.results.has_stale(key):
                    await flight.wait()
                else:
                    ended = False
                    with self._clock.move_on_after(soft):
                        await flight.wait()
                        ended = True
            if not ended:
                stale = self._stale_after(soft or 0.0, key)
                if stale is not MISS:
                    self._count_hit()
                    return stale
                continue
            if flight.succeeded or flight.error is not None:
                found = self._joined(flight, key)
                if found is MISS and flight.error is not None:
                    raise flight.error.with_traceback(flight.traceback)  # here: no frame more in the traceback
                return found
            # The task that made the call was cancelled: the first waiter to come round makes it now.

    def _start_in_background(
        self, flight_key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> bool:
        background = self._wrap_context.pipeline.background
        if background is None:
            return False
        self._flights[flight_key] = flight
        if background.start(self._make_in_background, flight_key, flight, args, kwargs):
            return True
        del self._flights[flight_key]
        return False

    async def _make_in_background(
        self, flight_key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Make the call in the App's background: an error goes to the waiters and is counted."""
        outer = enter(flight)
        try:
            await self._within_hard_timeout(flight_key[1], flight, args, kwargs)
        except Exception as error:  # noqa: BLE001 - raised to the waiters
            flight.fail(error)
            self.count("background_errors")
        finally:
            leave(flight, outer)
            self._release(flight_key, flight)

    async def _make(
        self, flight_key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any], soft: float | None
    ) -> Any:
        """Make the call in the caller's own task."""
        key = flight_key[1]
        self._flights[flight_key] = flight
        outer = enter(flight)
        try:
            if soft is None:
                return await self._within_hard_timeout(key, flight, args, kwargs)
            return await self._within_soft_timeout(soft, key, flight, args, kwargs)
        except Exception as error:
            flight.fail(error)
            stale = self._stale(key, error)
            if stale is not MISS:
                return stale
            raise
        finally:
            leave(flight, outer)
            self._release(flight_key, flight)

    async def _within_soft_timeout(
        self, soft: float, key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Make the call, and cancel it for a stale result, where no background task can finish it."""
        value: Any = MISS
        with self._clock.move_on_at(self._clock.now() + soft):
            value = await self._within_hard_timeout(key, flight, args, kwargs)
        if value is not MISS:
            return value
        stale = self._stale_after(soft, key)
        if stale is MISS:
            raise self._exceeded(soft)
        return stale

    async def _within_hard_timeout(
        self, key: Any, flight: Flight, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        hard = self._hard_timeout
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
        """Return the shared tier's result, or make the call and keep its result in both tiers."""
        shared = self.shared
        if shared is not None and not flight.refreshing:
            found = await shared.get(key)
            if found is not MISS:
                self.count("shared_hits")
                self._count_hit()
                self._keep_unless_outdated(flight, key, found, args, kwargs, 0.0)
                flight.succeed(found)
                return found
        begun = self._clock.now() if self._refreshes_early else 0.0
        value = await self._inside(*args, **kwargs)
        cost = self._clock.now() - begun if self._refreshes_early else 0.0
        options = self._keep_unless_outdated(flight, key, value, args, kwargs, cost)
        flight.succeed(value)
        if shared is not None and options is not None:
            await shared.set(key, value, *options)
            if not flight.keep:  # invalidated while it was written
                await shared.delete(key)
        return value

    def _stale_after(self, soft: float, key: Any) -> Any:
        """Return a stale result to a caller that has waited for ``soft`` seconds, or MISS."""
        stale = self._stale(key, self._exceeded(soft))
        if stale is not MISS:
            self.count("soft_timeouts")
        return stale

    def _exceeded(self, seconds: float) -> DeadlineExceeded:
        return DeadlineExceeded(f"pipeline {self._wrap_context.pipeline.name!r}: {self.name}", seconds)


def _refreshing() -> Flight:
    flight = Flight()
    flight.refreshing = True
    return flight
