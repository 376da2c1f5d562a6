"""Sets up the root logger: for programs that Corten runs, never for those that embed it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Literal, TextIO

from corten.logs.console_format import ConsoleFormatter
from corten.logs.json_format import JsonFormatter

LogFormat = Literal["auto", "json", "console"]
"""``auto`` is ``console`` on a terminal and ``json`` elsewhere."""

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

TALKATIVE = ("uvicorn.error",)
"""Loggers whose INFO tells what our own lines tell already; they speak from WARNING up, unless somebody set a level."""


class _StandardErrorHandler(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at the moment, so that a progress display can put itself in between."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def configure(
    level: LogLevel | int = "INFO",
    format: LogFormat = "auto",  # noqa: A002 - the setting's own word
    stream: TextIO | None = None,
    *,
    app: str = "",
    root: logging.Logger | None = None,
) -> Callable[[], None] | None:
    """Write all records of a level and above to a stream, unless somebody has set up logging already.

    :param stream: where to; standard error where it is None
    :param app: the App's name, for the JSON format
    :param root: the logger to set up; the root logger where it is None
    :returns: a function that undoes it; None where there are handlers already, and nothing was done
    """
    logger = logging.getLogger() if root is None else root
    if logger.handlers:
        return None
    output = sys.stderr if stream is None else stream
    terminal = output.isatty()
    handler = _StandardErrorHandler() if stream is None else logging.StreamHandler(stream)
    if format == "json" or (format == "auto" and not terminal):
        handler.setFormatter(JsonFormatter(app))
    else:
        handler.setFormatter(ConsoleFormatter(colour=terminal))
    former = logger.level
    logger.setLevel(level)
    logger.addHandler(handler)
    quieted = [each for name in TALKATIVE if not (each := logging.getLogger(name)).level]
    for each in quieted:
        each.setLevel(logging.WARNING)

    def undo() -> None:
        for each in quieted:
            each.setLevel(logging.NOTSET)
        logger.removeHandler(handler)
        logger.setLevel(former)
        handler.close()

    return undo
