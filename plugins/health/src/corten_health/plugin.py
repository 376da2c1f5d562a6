"""The plugin: its hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corten.health import Check
from corten.hookspecs import hookimpl
from corten.metrics import Collector
from corten.plugins import Route, Task
from corten.settings import DEFAULT, Section
from corten_health.loop import LoopMonitor
from corten_health.probes import probe_routes
from corten_health.process import process_collector
from corten_health.settings import HealthSettings
from corten_health.system import CpuShare, cpu_check, disk_check, memory_check

if TYPE_CHECKING:
    from corten.app import App


SECTION = Section("health", HealthSettings)


class HealthPlugin:
    """Probes, system checks, metrics of the process, and the loop's watchdog."""

    def __init__(self) -> None:
        self._monitor: LoopMonitor | None = None

    @hookimpl
    def corten_settings(self) -> Sequence[Section[Any]]:
        """Return the table ``[health]``, which is always active."""
        return [SECTION]

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Return the selected system checks."""
        settings = _settings(app)
        made = {
            "memory": lambda: memory_check(settings),
            "disk": lambda: disk_check(settings),
            "cpu": lambda: cpu_check(settings, CpuShare()),
            "loop": lambda: self._loop(app).check(settings),
        }
        return [made[name]() for name in settings.checks]

    @hookimpl
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """Return the collector of ``corten_process_*``."""
        return [process_collector(self._loop(app))]

    @hookimpl
    def corten_tasks(self, app: App[Any]) -> Sequence[Task]:
        """Return the task that measures the loop's lag."""
        return [Task("health.loop", self._loop(app).run, phase="flush")]

    @hookimpl
    def corten_ops_routes(self, app: App[Any]) -> Sequence[Route]:
        """Return the pages of the probes."""
        return probe_routes(app.health)

    def _loop(self, app: App[Any]) -> LoopMonitor:
        if self._monitor is None:
            self._monitor = LoopMonitor(app.clock, blocked_after=_settings(app).blocked_after)
        return self._monitor


def _settings(app: App[Any]) -> HealthSettings:
    return app.section(SECTION)[DEFAULT]
