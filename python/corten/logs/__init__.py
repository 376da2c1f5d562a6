"""Formats for the standard library's logging, and fields that follow the work."""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names
from corten.logs.configuration import LogFormat, LogLevel, LogSetup, configure

if TYPE_CHECKING:
    from corten.logs.console_format import ConsoleFormatter
    from corten.logs.context import TraceProvider, current_fields, extra_fields, log_context, set_trace_provider
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
    "extra_fields",
    "log_context",
    "set_trace_provider",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "corten.logs.console_format": ("ConsoleFormatter",),
        "corten.logs.context": ("TraceProvider", "current_fields", "extra_fields", "log_context", "set_trace_provider"),
        "corten.logs.json_format": ("JsonFormatter",),
    },
)
