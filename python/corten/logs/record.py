"""The parts of a log record that both formats write."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from corten.logs.context import extra_fields, trace_ids
from corten.secrets import HIDDEN, is_hidden


def timestamp(record: logging.LogRecord) -> str:
    """Return the record's time: ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return moment.removesuffix("+00:00") + "Z"


def message(record: logging.LogRecord) -> str:
    """Return the message, with its arguments if they fit."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - __str__ of anything at all
        return f"{shown(record.msg)} (its arguments do not fit: {type(error).__name__})"


def traceback(record: logging.LogRecord) -> str:
    """Return the traceback and stack of a record, or ""."""
    parts: list[str] = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(_formatter.formatException(record.exc_info))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the trace ids, the context's fields and the record's own fields.

    The value of a field with the name of a secret is hidden.
    """
    ids = trace_ids()
    traced: dict[str, object] = {} if ids is None else {"trace_id": ids[0], "span_id": ids[1]}
    extra = {name: HIDDEN if is_hidden(value, (name,)) else value for name, value in extra_fields(record).items()}
    return traced | extra


def shown(value: object) -> str:
    """Return the text of a value that has no JSON form."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - __str__ of anything at all
        return f"<unprintable {type(value).__name__}>"


_formatter = logging.Formatter()
