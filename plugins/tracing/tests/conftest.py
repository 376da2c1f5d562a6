"""Apps that send their telemetry to a real collector."""

from __future__ import annotations

from tests.servers.otelcol import CollectorServer, collector

from corten.app import App
from corten_tracing import TracingPlugin

__all__ = ["collector"]


def make(collector: CollectorServer | str, *plugins: object, **arguments: object) -> App[None]:
    """An App with the tracing plugin; ``tracing__interval=1`` is ``[tracing] interval = 1``."""
    endpoint = collector if isinstance(collector, str) else collector.endpoint
    given: dict[str, object] = {"tracing.endpoint": endpoint}
    given |= {name.replace("__", "."): value for name, value in arguments.items()}
    return App("traced", plugins=[TracingPlugin, *plugins], autoload=False, config=None, arguments=given)
