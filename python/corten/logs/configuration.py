"""Sets up the root logger: for programs that Corten runs, never for those that embed it."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

LogFormat = Literal["auto", "json", "console"]
"""``auto`` is ``console`` on a terminal and ``json`` elsewhere."""

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

TALKATIVE = ("uvicorn.error", "watchfiles.main")
"""Loggers whose INFO tells what our own lines tell already; they speak from WARNING up, unless somebody set a level."""


class LogSetup:
    """What :func:`configure` has set up; called, it undoes it."""

    def __init__(
        self,
        logger: logging.Logger,
        handler: logging.StreamHandler[TextIO],
        app: str,
        level: LogLevel | int,
        format: LogFormat,  # noqa: A002 - the setting's own word
    ) -> None:
        self._logger = logger
        self._handler = handler
        self._app = app
        self._former = logger.level
        self.change(level, format)
        logger.addHandler(handler)
        self._quieted = [each for name in TALKATIVE if not (each := logging.getLogger(name)).level]
        for each in self._quieted:
            each.setLevel(logging.WARNING)

    def change(self, level: LogLevel | int, format: LogFormat) -> None:  # noqa: A002 - the setting's own word
        """Write from another level up, in another format, from the next record on."""
        self._logger.setLevel(level)
        terminal = self._handler.stream.isatty()
        if format == "json" or (format == "auto" and not terminal):
            from corten.logs.json_format import JsonFormatter

            self._handler.setFormatter(JsonFormatter(self._app))
        else:
            from corten.logs.console_format import ConsoleFormatter

            self._handler.setFormatter(ConsoleFormatter(colour=terminal))

    def __call__(self) -> None:
        for each in self._quieted:
            each.setLevel(logging.NOTSET)
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._former)
        self._handler.close()


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
) -> LogSetup | None:
    """Write all records of a level and above to a stream, unless somebody has set up logging already.

    :param stream: where to; standard error where it is None
    :param app: the App's name, for the JSON format
    :param root: the logger to set up; the root logger where it is None
    :returns: what undoes it when it is called; None where there are handlers already, and nothing was done
    """
    logger = logging.getLogger() if root is None else root
    if logger.handlers:
        return None
    handler = _StandardErrorHandler() if stream is None else logging.StreamHandler(stream)
    return LogSetup(logger, handler, app, level, format)
