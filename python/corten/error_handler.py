"""The error handler of an App: counts of errors, and callbacks."""

from __future__ import annotations

import contextvars
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, cast

import anyio
import msgspec

from corten.clock import Clock
from corten.errors import described
from corten.event_loop import loop_caller
from corten.metrics.registry import Registry

__all__ = ["ErrorCount", "ErrorDetails", "ErrorHandler", "ErrorStatistics"]

_log = logging.getLogger("corten.errors")

OVERFLOW: Final = "overflow"
"""Component and type of errors beyond the pairs that are counted apart."""

_MARK: Final = "__corten_components__"
"""Attribute of an error: the components that reported it. An error raised again counts again."""

_telling: contextvars.ContextVar[bool] = contextvars.ContextVar("corten_telling_errors", default=False)


class ErrorDetails(msgspec.Struct, frozen=True):
    """An error and its component, as callbacks get them."""

    component: str
    """``pipeline users``, ``task refresh``, ``schedule report``, ``consumer store``, ``subscriber warn``, or what
    :meth:`ErrorHandler.report` was given."""
    error: Any
    """The `Exception`."""
    at: float
    """Wall-clock time, in seconds since the epoch."""


class ErrorCount(msgspec.Struct, frozen=True):
    """The count of a component's errors of one type."""

    component: str
    type: str
    count: int
    last_at: float
    """Wall-clock time of the last error, in seconds since the epoch."""


class ErrorStatistics(msgspec.Struct, frozen=True):
    """Counts of an `ErrorHandler`."""

    total: int
    counts: tuple[ErrorCount, ...]
    """By component and type, the most frequent first."""
    callbacks: int
    """The number of subscribed callbacks."""
    callback_failures: int
    """Calls of callbacks that raised or took too long."""
    waiting: int
    """Errors that wait for async callbacks."""
    dropped: int
    """Errors that async callbacks never got: too many waited, or the App had stopped."""


class _Subscription(msgspec.Struct, eq=False):
    callback: Callable[[ErrorDetails], Any]
    kinds: tuple[type[Exception], ...]
    is_async: bool


class _Tally:
    __slots__ = ("add", "count", "last_at")

    def __init__(self, add: Callable[[], object]) -> None:
        self.count = 0
        self.last_at = 0.0
        self.add = add
        """Adds to the metric."""


def _nothing() -> None: ...


def checked_kinds(kinds: tuple[type[Exception], ...]) -> tuple[type[Exception], ...]:
    """Return types of errors, checked.

    :raises TypeError: a type is no subclass of `Exception`
    """
    for each in cast("tuple[object, ...]", kinds):
        if not (isinstance(each, type) and issubclass(each, Exception)):
            raise TypeError(f"{each!r} is not a subclass of Exception; cancellation and exits are no errors")
    return kinds


class ErrorHandler:
    """Counts errors by component and type, and calls callbacks for their types.

    Callbacks are called in the order of subscription: sync ones where the error happened, so they must be quick; async
    ones by the App, one after the other. A callback's own error is logged and counted; errors reported during a
    callback are only counted, so that no callback calls itself. An error that several components report on its way (a
    pipeline, then the task that called it) is counted for each component, and handed to callbacks once, by the
    innermost.

    :param max_pairs: pairs of component and type that are counted apart; the rest count as ``overflow``
    :param max_waiting: errors that may wait for async callbacks; further ones are dropped, and counted
    :param callback_timeout: seconds that an async callback may take
    :param wall: wall-clock time, in seconds since the epoch
    """

    def __init__(
        self,
        registry: Registry | None = None,
        clock: Clock | None = None,
        *,
        max_pairs: int = 1000,
        max_waiting: int = 1000,
        callback_timeout: float = 30.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock if clock is not None else Clock()
        self._wall = wall
        self._max_pairs = max_pairs
        self._max_waiting = max_waiting
        self._callback_timeout = callback_timeout
        self._lock = threading.RLock()  # a finalizer that the collector runs may report an error
        self._subscriptions: tuple[_Subscription, ...] = ()  # replaced whole, so that telling needs no lock
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._failures = self._dropped = 0
        self._waiting: deque[tuple[_Subscription, ErrorDetails]] = deque()
        self._wake: Callable[[], object] | None = None
        self._is_over = False
        self._ended: anyio.Event | None = None
        self._errors = self._failed = None
        if registry is not None:
            self._errors = registry.counter(
                "corten_errors", "Errors by where they came from and their type", attributes=("component", "type")
            )
            self._failed = registry.counter(
                "corten_error_callback_failures", "How often a callback for errors raised, or took too long"
            )

    def subscribe(
        self,
        callback: Callable[[ErrorDetails], object],
        kind: type[Exception] | tuple[type[Exception], ...] = Exception,
    ) -> Callable[[], None]:
        """Call a function with each error of some types and their subclasses.

        :returns: a function that ends the subscription; calling it again does nothing
        :raises TypeError: it can't be called, or a kind is no subclass of `Exception`
        """
        kinds = checked_kinds(kind if isinstance(kind, tuple) else (kind,))
        if not callable(callback):
            raise TypeError(f"{callback!r} can't be called; expected a function that takes ErrorDetails")
        is_async = inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
            getattr(callback, "__call__", None)  # noqa: B004 - its kind, not whether it exists
        )
        subscription = _Subscription(callback, kinds, is_async)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)

        def unsubscribe() -> None:
            with self._lock:
                self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)

        return unsubscribe

    def report(self, component: str, error: BaseException) -> None:
        """Count an error and hand it to callbacks, from any thread.

        Never raises because of a callback. Cancellation, exits and all else that is no `Exception` are ignored.
        """
        if not isinstance(error, Exception):
            return
        pair = (component, type(error).__name__)
        at = self._wall()
        with self._lock:
            tally = self._tallies.get(pair)
            if tally is None:
                tally = self._tally(pair)
            tally.count += 1
            tally.last_at = at
        tally.add()
        if not self._subscriptions or not _is_new(component, error) or _telling.get():
            return
        details = ErrorDetails(component, error, at)
        for subscription in self._subscriptions:
            if not isinstance(error, subscription.kinds):
                continue
            if subscription.is_async:
                self._enqueue(subscription, details)
            else:
                self._call(subscription, details)

    def _tally(self, pair: tuple[str, str]) -> _Tally:
        """Return the count of a new pair, or the ``overflow`` count."""
        if len(self._tallies) >= self._max_pairs:
            pair = (OVERFLOW, OVERFLOW)
        tally = self._tallies.get(pair)
        if tally is None:
            add = _nothing if self._errors is None else self._errors.bind(component=pair[0], type=pair[1]).add
            tally = self._tallies[pair] = _Tally(add)
        return tally

    @contextmanager
    def reporting(self, component: str) -> Generator[None, None, None]:
        """Report errors raised inside, and raise them again."""
        try:
            yield
        except Exception as error:
            self.report(component, error)
            raise

    def statistics(self) -> ErrorStatistics:
        """Return the counts of errors and callbacks."""
        with self._lock:
            pairs = sorted(dict(self._tallies).items(), key=lambda item: (-item[1].count, item[0]))
            counts = tuple(ErrorCount(*pair, tally.count, tally.last_at) for pair, tally in pairs)
            return ErrorStatistics(
                total=sum(each.count for each in counts),
                counts=counts,
                callbacks=len(self._subscriptions),
                callback_failures=self._failures,
                waiting=len(self._waiting),
                dropped=self._dropped,
            )

    # -- sync callbacks

    def _call(self, subscription: _Subscription, details: ErrorDetails) -> None:
        token = _telling.set(True)
        try:
            result = subscription.callback(details)
            if inspect.isawaitable(result):
                if inspect.iscoroutine(result):
                    result.close()
                raise TypeError("it returned an awaitable: write it with `async def`")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - a callback's errors must not reach the component
            self._failed_callback(subscription, details, error)
        finally:
            _telling.reset(token)

    def _failed_callback(self, subscription: _Subscription, details: ErrorDetails, error: Exception) -> None:
        with self._lock:
            self._failures += 1
        if self._failed is not None:
            self._failed.add()
        _log.error(
            "callback %r failed on %s of %s: %s",
            subscription.callback,
            type(details.error).__name__,
            details.component,
            described(error),
            exc_info=error,
        )

    # -- async callbacks

    def _enqueue(self, subscription: _Subscription, details: ErrorDetails) -> None:
        with self._lock:
            if self._is_over or len(self._waiting) >= self._max_waiting:
                self._dropped += 1
                is_first = self._dropped == 1
            else:
                self._waiting.append((subscription, details))
                is_first = False
            wake = self._wake
        if is_first:
            _log.error("async callbacks miss errors from now on: %d wait, or the App has stopped", len(self._waiting))
        if wake is not None:
            wake()

    async def run(self) -> None:
        """Call async callbacks one after the other until :meth:`stop`."""
        call_soon = loop_caller()
        ended = self._ended = anyio.Event()
        token = _telling.set(True)
        try:
            while True:
                moved = anyio.Event()
                with self._lock:
                    self._wake = partial(call_soon, moved.set)
                    item = self._waiting.popleft() if self._waiting else None
                    is_over = self._is_over
                if item is not None:
                    await self._call_async(*item)
                elif is_over:
                    return
                else:
                    await moved.wait()
        finally:
            _telling.reset(token)
            with self._lock:
                self._wake = None
                self._is_over = True
            ended.set()

    async def stop(self) -> None:
        """Wait until :meth:`run` has handed on the last errors and returned."""
        with self._lock:
            self._is_over = True
            wake = self._wake
        if wake is not None:
            wake()
        if self._ended is not None:
            await self._ended.wait()

    async def _call_async(self, subscription: _Subscription, details: ErrorDetails) -> None:
        result: Awaitable[object] = subscription.callback(details)
        try:
            with self._clock.move_on_after(self._callback_timeout) as scope:
                await result
            if scope.cancelled_caught:
                raise TimeoutError(f"it took longer than {self._callback_timeout:g} s")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - a callback's errors must not reach the component
            self._failed_callback(subscription, details, error)


def _is_new(component: str, error: Exception) -> bool:
    """Return whether an error is new, or was raised again."""
    came_by: set[str] | None = error.__dict__.get(_MARK)
    if came_by is None or component in came_by:
        error.__dict__[_MARK] = {component}
        return True
    came_by.add(component)
    return False
