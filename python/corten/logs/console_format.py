"""Records as lines for people."""

from __future__ import annotations

import logging

from corten.logs import record as parts

_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_RESET = "\x1b[0m"


class ConsoleFormatter(logging.Formatter):
    """Lines such as ``2026-01-31T12:00:00.000Z INFO     corten.app: message  name=value``.

    A traceback follows, indented. Unprintable characters become escapes, so that no logged text can begin a line or
    move the cursor.

    :param colour: colour the level, for a terminal
    """

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname:<8}"
        if self._colour and record.levelname in _COLOURS:
            level = f"{_COLOURS[record.levelname]}{level}{_RESET}"
        head = f"{parts.timestamp(record)} {level} {escape(record.name)}: {escape(parts.message(record))}"
        pairs = [f"{escape(name)}={_value(value)}" for name, value in parts.fields(record).items()]
        line = "  ".join([head, " ".join(pairs)]) if pairs else head
        error = parts.traceback(record)
        return "\n".join([line, *(f"    {escape(each)}" for each in error.split("\n"))]) if error else line


def escape(text: str) -> str:
    r"""Replace unprintable characters by escapes such as ``\n``, ``\x1b``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _value(value: object) -> str:
    import json

    text = parts.shown(value)
    plain = text and not any(each in text for each in ' "=\\')
    return escape(text if plain else json.dumps(text, ensure_ascii=False))
