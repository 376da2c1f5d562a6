"""Sets up logging of programs that Corten runs, not of embedding programs."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

LogFormat = Literal["auto", "json", "console"]
"""``auto`` is ``console`` on a terminal and ``json`` elsewhere."""

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

TALKATIVE = ("uvicorn.error", "watchfiles.main")
"""Loggers that repeat our own lines at INFO. Without a level of their own they write from WARNING up."""


class LogSetup:
    """The setup made by :func:`configure`; calling it undoes the setup."""

    def __init__(
        self,
        logger: logging.Logger,
        handler: logging.StreamHandler[TextIO],
        app: str,
        level: LogLevel | int,
        format: LogFormat,  # noqa: A002 - the setting's name
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

    def change(self, level: LogLevel | int, format: LogFormat) -> None:  # noqa: A002 - the setting's name
        """Use another level and format from the next record on."""
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
    """Writes to the current ``sys.stderr``, which a progress display may replace."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def configure(
    level: LogLevel | int = "INFO",
    format: LogFormat = "auto",  # noqa: A002 - the setting's name
    stream: TextIO | None = None,
    *,
    app: str = "",
    root: logging.Logger | None = None,
) -> LogSetup | None:
    """Set up logging to a stream, unless the logger has handlers.

    :param stream: standard error by default
    :param app: the App's name, for the JSON format
    :param root: the logger to set up, the root logger by default
    :returns: a callable that undoes the setup, or None if the logger has handlers already and stayed as it was
    """
    logger = logging.getLogger() if root is None else root
    if logger.handlers:
        return None
    handler = _StandardErrorHandler() if stream is None else logging.StreamHandler(stream)
    return LogSetup(logger, handler, app, level, format)
