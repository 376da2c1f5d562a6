"""OpenTelemetry: spans of pipelines and messages, and OTLP."""

from corten_tracing.plugin import TracingPlugin
from corten_tracing.sender import SenderStatistics
from corten_tracing.settings import TracingSettings
from corten_tracing.tracing import Tracing, TracingStatistics

__all__ = ["SenderStatistics", "Tracing", "TracingPlugin", "TracingSettings", "TracingStatistics"]
