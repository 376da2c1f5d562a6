"""Log records as lines of JSON, for machines."""

from __future__ import annotations

import logging

import msgspec

from corten.logs import record as parts

_encoder = msgspec.json.Encoder(enc_hook=parts.shown)


class JsonFormatter(logging.Formatter):
    """One line of JSON for each record.

    A line has ``time``, ``level``, ``logger``, ``message``, and if known ``app``, ``trace_id``, ``span_id``, the fields
    of the context and of ``extra``, and ``error`` with the traceback. A field of yours with one of these names gets an
    underscore at its end. All characters of the line are printable.

    :param app: the App's name
    """

    def __init__(self, app: str = "") -> None:
        super().__init__()
        self._app = app

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": parts.timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": parts.message(record),
        }
        if self._app:
            line["app"] = self._app
        error = parts.traceback(record)
        for name, value in parts.fields(record).items():
            line[f"{name}_" if name in line or name == "error" else name] = value
        if error:
            line["error"] = error
        return _encode(line)


def _encode(line: dict[str, object]) -> str:
    text = _encode_fields(line)
    if text.isprintable():
        return text
    # JSON may hold line separators, C1 controls and changes of direction, which a terminal or a pager would obey.
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(each: str) -> str:
    import json

    return f"\\u{ord(each):04x}" if each.isascii() else json.dumps(each)[1:-1]


def _encode_fields(line: dict[str, object]) -> str:
    try:
        return _encoder.encode(line).decode()
    except Exception:  # noqa: BLE001 - text with lone surrogates, keys of odd types, structures that contain themselves
        plain = {name: parts.shown(value).encode("utf-8", "replace").decode() for name, value in line.items()}
        return _encoder.encode(plain).decode()
