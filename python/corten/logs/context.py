"""Fields that every record of a stretch of work carries: the request, the message, the span."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

TraceProvider = Callable[[], tuple[str, str] | None]
"""Gives the current trace's and span's ids as lower-case hex, or None outside of a span."""

_NOTHING: Mapping[str, object] = {}
_fields: ContextVar[Mapping[str, object]] = ContextVar("corten.logs.fields", default=_NOTHING)


class _Tracing:
    """Who knows the ids of the current span: like the current span itself, one for the process."""

    provider: TraceProvider | None = None


_tracing = _Tracing()


@contextmanager
def log_context(**fields: object) -> Generator[None, None, None]:
    """Add fields to the records of this block, in this task and those that it starts; an inner block's win."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def current_fields() -> Mapping[str, object]:
    """The fields of the blocks that are open here."""
    return _fields.get()


def set_trace_provider(provider: TraceProvider | None) -> Callable[[], None]:
    """Say where records get their ``trace_id`` and ``span_id`` from; one provider for the process, the last one set.

    :returns: a function that puts the former provider back
    """
    former, _tracing.provider = _tracing.provider, provider

    def restore() -> None:
        _tracing.provider = former

    return restore


def trace_ids() -> tuple[str, str] | None:
    """The ids of the current trace and span. A provider that fails costs its ids, not the record."""
    if _tracing.provider is None:
        return None
    try:
        return _tracing.provider()
    except Exception:  # noqa: BLE001 - a stranger's code, and logging its failure would come back here
        return None


# "color_message" is uvicorn's: its message once more, with escapes for a terminal.
_STANDARD = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message"})


def extra_fields(record: logging.LogRecord) -> dict[str, object]:
    """What a record carries beyond the standard: the context's fields and those given as ``extra``, which win."""
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    return {**current_fields(), **extra}
