"""Formats for the standard library's logging, and fields that follow the work."""

from corten.logs.configuration import LogFormat, LogLevel, LogSetup, configure
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
