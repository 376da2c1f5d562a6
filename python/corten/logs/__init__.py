"""Formats for the standard library's logging, and fields that follow the work.

The formats are loaded when something is written in them, or when their names are first used.
"""

from typing import TYPE_CHECKING

from corten.logs.configuration import LogFormat, LogLevel, LogSetup, configure

if TYPE_CHECKING:
    from corten.logs.console_format import ConsoleFormatter
    from corten.logs.context import TraceProvider, current_fields, log_context, set_trace_provider
    from corten.logs.json_format import JsonFormatter

__all__ = [
    "ConsoleFormatter",
    "JsonFormatter",
    "LogFormat",
    "LogLevel",
    "LogSetup",
    "TraceProvider",
    "configure",
    "current_fields",
    "log_context",
    "set_trace_provider",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'corten.logs' has no attribute {name!r}")
    from importlib import import_module

    room = {"ConsoleFormatter": "console_format", "JsonFormatter": "json_format"}.get(name, "context")
    value: object = getattr(import_module(f"corten.logs.{room}"), name)
    globals()[name] = value  # the next time it is found without asking here
    return value


def __dir__() -> list[str]:
    return __all__
