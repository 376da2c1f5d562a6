"""The plugin: its hooks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from corten.hookspecs import hookimpl
from corten.metrics import Collector
from corten.plugins import Exporter, Observer, Resource, Task
from corten.settings import DEFAULT, Section
from corten_tracing.settings import ALIASES, TracingSettings
from corten_tracing.tracing import Tracing

if TYPE_CHECKING:
    from corten.app import App


SECTION = Section("tracing", TracingSettings, aliases=ALIASES, activated_by=("endpoint",))


class TracingPlugin:
    """Spans of calls and messages; traces, metrics and logs for a collector."""

    @hookimpl
    def corten_settings(self) -> Sequence[Section[Any]]:
        """Return the table ``[tracing]``, active with an endpoint."""
        return [SECTION]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:  # noqa: ARG002 - opened later
        """Return the resource :class:`Tracing`."""
        return [Resource(Tracing, _open)]

    @hookimpl
    def corten_observers(self, app: App[Any]) -> Sequence[Observer]:
        """Return the observer that makes spans."""
        return [app.get(Tracing).observer] if "traces" in _settings(app).signals else []

    @hookimpl
    def corten_exporters(self, app: App[Any]) -> Sequence[Exporter]:
        """Return the exporter of metrics."""
        settings = _settings(app)
        if "metrics" not in settings.signals:
            return []
        return [Exporter("otlp", app.get(Tracing).export, settings.metrics_interval)]

    @hookimpl
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """Return the collector of ``corten_tracing_*``."""
        return [Collector("tracing", app.get(Tracing).measure)]

    @hookimpl
    def corten_tasks(self, app: App[Any]) -> Sequence[Task]:
        """Return the task that sends spans and log records."""
        tracing = app.get(Tracing)
        return [Task("tracing", tracing.run, tracing.stop, "flush")]


def _settings(app: App[Any]) -> TracingSettings:
    return app.section(SECTION)[DEFAULT]


def _open(app: App[Any]) -> AbstractAsyncContextManager[Tracing]:
    return Tracing(_settings(app), name=app.name, clock=app.clock, environment=app.environment).opened()
