"""Probes, and checks of memory, disk, CPU and the event loop."""

from corten_health.loop import LoopMonitor, LoopStatistics
from corten_health.plugin import HealthPlugin
from corten_health.settings import HealthSettings

__all__ = ["HealthPlugin", "HealthSettings", "LoopMonitor", "LoopStatistics"]
