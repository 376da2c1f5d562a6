"""Log records for the collector, and trace ids for the App's logs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from opentelemetry import trace

from corten.logs import extra_fields, set_trace_provider
from corten.secrets import redact
from corten_tracing.otlp import Record
from corten_tracing.queue import BoundedQueue
from corten_tracing.spans import places

_OWN = ("corten.tracing", "opentelemetry")
"""Loggers about sending, which are not sent."""


class QueueHandler(logging.Handler):
    """Puts records with their span into a queue."""

    def __init__(self, queue: BoundedQueue[Record], level: int) -> None:
        super().__init__(level)
        self._queue = queue

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; never blocks, never raises."""
        if record.name.startswith(_OWN):
            return
        try:
            self._queue.put(_kept(record))
        except Exception:  # noqa: BLE001 - as all handlers of the standard library
            self.handleError(record)


def _kept(record: logging.LogRecord) -> Record:
    attributes = extra_fields(record)
    attributes["code.function.name"] = record.funcName
    attributes["code.line.number"] = record.lineno
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        attributes["exception.type"] = type(error).__qualname__
        attributes["exception.message"] = redact(str(error))
        attributes["exception.stacktrace"] = places(error)
    span = trace.get_current_span().get_span_context()
    return Record(
        int(record.created * 1e9),
        record.name,
        record.levelno,
        record.levelname,
        record.getMessage(),
        attributes,
        span.trace_id,
        span.span_id,
        int(span.trace_flags),
    )


def current_ids() -> tuple[str, str] | None:
    """Return the ids of the current span in lower-case hex, or None."""
    span = trace.get_current_span().get_span_context()
    return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None


class _Users:
    """The number of Apps with ids in logs: the first sets the provider, the last restores it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.restore: Callable[[], None] = lambda: None


_users = _Users()


def join() -> None:
    """Add ids of spans to log records."""
    with _users.lock:
        _users.count += 1
        if _users.count == 1:
            _users.restore = set_trace_provider(current_ids)


def leave() -> None:
    """Remove them, unless another App wants them."""
    with _users.lock:
        _users.count -= 1
        if _users.count == 0:
            _users.restore()
