"""The events of one App: subscribers and history."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

from corten.events.event import Event
from corten.events.pipeline_event import PipelineEvent

_log = logging.getLogger("corten.events")

E = TypeVar("E", bound=Event)


class Occurrence(msgspec.Struct, frozen=True):
    """An event, and the time it was emitted."""

    at: float
    """Wall-clock time, in seconds since the epoch."""
    event: Event


class EventsStatistics(msgspec.Struct, frozen=True):
    """Counts of :class:`Events`."""

    emitted: int
    subscribers: int
    subscriber_errors: int


class Events:
    """Calls subscribers with events, on the emitter's thread.

    It calls them in the order of subscription. Subscribers are sync functions and must be quick: the emitter waits for
    them. Their errors are logged and counted, and reach neither the emitter nor other subscribers.

    :param max_history: the number of events that :meth:`recent` remembers; the oldest is forgotten first
    :param wall: wall-clock time, in seconds since the epoch
    :param on_error: called with ``subscriber NAME`` and the error that the subscriber raised
    """

    def __init__(
        self,
        *,
        max_history: int = 200,
        wall: Callable[[], float] = time.time,
        on_error: Callable[[str, Exception], object] = lambda _name, _error: None,
    ) -> None:
        self._wall = wall
        self._on_error = on_error
        self._lock = threading.RLock()  # a finalizer that the collector runs may emit an event
        self._subscriptions: tuple[_Subscription, ...] = ()  # replaced whole, so that emit needs no lock to read it
        self._history: deque[Occurrence] = deque(maxlen=max_history)
        self._emitted = 0
        self._errors = 0

    @overload
    def subscribe(self, callback: Callable[[Event], object], kind: None = None) -> Callable[[], None]: ...

    @overload
    def subscribe(self, callback: Callable[[E], object], kind: type[E]) -> Callable[[], None]: ...

    def subscribe(self, callback: Callable[[Any], object], kind: type[Event] | None = None) -> Callable[[], None]:
        """Call ``callback`` with events of a class and its subclasses.

        :returns: a function that ends the subscription; calling it again does nothing
        """
        subscription = _Subscription(callback, Event if kind is None else kind)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)

        def unsubscribe() -> None:
            with self._lock:
                self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)

        return unsubscribe

    def wants(self, kind: type[Event]) -> bool:
        """Return whether a subscriber wants events of a class."""
        return any(issubclass(kind, each.kind) or issubclass(each.kind, kind) for each in self._subscriptions)

    def emit(self, event: Event) -> None:
        """Call the subscribers with an event. Never raises because of a subscriber."""
        with self._lock:
            self._emitted += 1
            if not isinstance(event, PipelineEvent):  # thousands of these would push rare events out
                self._history.append(Occurrence(self._wall(), event))
            subscriptions = self._subscriptions
        for subscription in subscriptions:
            if isinstance(event, subscription.kind):
                try:
                    subscription.callback(event)
                except Exception as error:  # noqa: BLE001 - a subscriber's errors must not reach the emitter
                    with self._lock:
                        self._errors += 1
                    _log.exception("subscriber %r failed on %s", subscription.callback, type(event).__name__)
                    self._on_error(f"subscriber {subscription.name}", error)

    def recent(self, limit: int | None = None) -> tuple[Occurrence, ...]:
        """Return the last events, oldest first, without events of pipelines."""
        with self._lock:
            history = tuple(self._history.copy())
        return history if limit is None else history[max(0, len(history) - limit) :]

    def statistics(self) -> EventsStatistics:
        """Return the counts of events, subscribers and their errors."""
        return EventsStatistics(self._emitted, len(self._subscriptions), self._errors)


class _Subscription:
    """A callback and its events; compared by identity, for one may subscribe twice."""

    __slots__ = ("callback", "kind", "name")

    def __init__(self, callback: Callable[[Any], object], kind: type[Event]) -> None:
        self.callback = callback
        self.kind = kind
        self.name: str = getattr(callback, "__qualname__", type(callback).__qualname__)
