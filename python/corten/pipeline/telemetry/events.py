"""Events of a pipeline: counted, and emitted to subscribers and observers."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from corten.errors import described
from corten.events.pipeline_event import (
    CallDegraded,
    CallFailed,
    CallHedged,
    CallRefused,
    CallRetried,
    CallTimedOut,
    FaultInjected,
    PipelineEvent,
)

if TYPE_CHECKING:
    from corten.error_handler import ErrorHandler
    from corten.events import Events
    from corten.events.observer import Observer

EventName = Literal["refused", "retried", "timed_out", "failed", "degraded", "hedged", "injected"]
"""The events of a pipeline; `PipelineStatistics` counts some of them by these names."""

_FINAL = ("failed", "timed_out")
"""Events of calls that ended with an error; a refusal is no error."""

_log = logging.getLogger("corten.pipeline")


class PipelineEvents:
    """The events of one pipeline, from the core and the layers.

    While nobody listens an event costs a call and a counter, and no object is made.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._component = f"pipeline {pipeline}"
        self._lock = threading.RLock()  # a finalizer that the collector runs may make a guarded call
        self._counts: Counter[tuple[EventName, str]] = Counter()
        self._events: Events | None = None
        self._observers: tuple[Callable[[PipelineEvent], object], ...] = ()
        self._errors: ErrorHandler | None = None

    def bind(self, events: Events | None, observers: Sequence[Observer], errors: ErrorHandler | None = None) -> None:
        """Emit to an App's events, error handler and observers from now on."""
        self._events = events
        self._errors = errors
        self._observers = tuple(each.event for each in observers if each.event is not None)

    def counts(self, name: EventName) -> Mapping[str, int]:
        """Return the counts of an event, by the kind of policy."""
        with self._lock:
            counts = dict(self._counts)
        return {policy: count for (each, policy), count in counts.items() if each == name}

    def emit(
        self,
        name: EventName,
        policy: str,
        error: BaseException | None = None,
        attempt: int = 0,
        seconds: float | None = None,
        words: str = "",
    ) -> None:
        """Count an event, and emit it. Never raises because of a listener.

        :param policy: the kind of the policy that decided
        :param error: the error that caused it, or that it raised
        :param attempt: the number of the attempt; the first is 1
        :param seconds: the wait, or the time limit
        :param words: a description, where there is no ``error``
        """
        with self._lock:
            self._counts[name, policy] += 1
        if self._errors is not None and error is not None and name in _FINAL:
            self._errors.report(self._component, error)
        events = self._events
        listened = events is not None and events.wants(PipelineEvent)
        if not (listened or self._observers):
            return
        event = self._event(name, policy, error, attempt, seconds, words)
        if events is not None and listened:
            events.emit(event)
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - an observer's errors must not reach the call
                _log.exception("pipeline %s: an observer failed on %s", self._pipeline, type(event).__name__)

    def _event(
        self, name: EventName, policy: str, error: BaseException | None, attempt: int, seconds: float | None, words: str
    ) -> PipelineEvent:
        pipeline = self._pipeline
        words = words if error is None else described(error)
        match name:
            case "refused":
                reason = str(getattr(error, "reason", error))
                return CallRefused(pipeline=pipeline, policy=policy, reason=reason, retry_after=seconds)
            case "retried":
                return CallRetried(pipeline=pipeline, policy=policy, attempt=attempt, wait=seconds or 0.0, error=words)
            case "timed_out":
                return CallTimedOut(pipeline=pipeline, policy=policy, seconds=seconds or 0.0)
            case "failed":
                return CallFailed(pipeline=pipeline, policy=policy, error=words)
            case "degraded":
                return CallDegraded(pipeline=pipeline, policy=policy, error=words)
            case "hedged":
                return CallHedged(pipeline=pipeline, policy=policy, attempt=attempt, after=seconds or 0.0)
            case "injected":
                return FaultInjected(pipeline=pipeline, policy=policy, fault=words, seconds=seconds or 0.0)
