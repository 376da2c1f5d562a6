"""Fields for all records of one request or message."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

TraceProvider = Callable[[], tuple[str, str] | None]
"""Returns the ids of the current trace and span in lower-case hex, or None outside of a span."""

_NOTHING: Mapping[str, object] = {}
_fields: ContextVar[Mapping[str, object]] = ContextVar("corten.logs.fields", default=_NOTHING)


class _Tracing:
    """The trace provider of the process."""

    provider: TraceProvider | None = None


_tracing = _Tracing()


@contextmanager
def log_context(**fields: object) -> Generator[None, None, None]:
    """Add fields to records of this block and its tasks.

    Where two blocks set one field, the inner block wins.
    """
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def current_fields() -> Mapping[str, object]:
    """Return the fields of the open blocks."""
    return _fields.get()


def set_trace_provider(provider: TraceProvider | None) -> Callable[[], None]:
    """Set the process's source of ``trace_id`` and ``span_id``.

    :returns: a function that restores the former provider
    """
    former, _tracing.provider = _tracing.provider, provider

    def restore() -> None:
        _tracing.provider = former

    return restore


def trace_ids() -> tuple[str, str] | None:
    """Return the ids of the current trace and span, or None."""
    if _tracing.provider is None:
        return None
    try:
        return _tracing.provider()
    except Exception:  # noqa: BLE001 - logging the provider's failure would call it again
        return None


# uvicorn repeats its message in "color_message", with escapes for a terminal.
_STANDARD = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message"})


def extra_fields(record: logging.LogRecord) -> dict[str, object]:
    """Return a record's fields of the context and of ``extra``, which wins."""
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    return {**current_fields(), **extra}
