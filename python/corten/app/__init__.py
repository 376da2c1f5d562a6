"""The composition root: settings, plugins, resources and tasks with one lifecycle."""

from corten.app.app import App
from corten.app.lifecycle import State
from corten.app.reload import Reloaded, ReloadStatistics
from corten.app.schedule import Schedule, ScheduleStatistics
from corten.app.tasks import TaskState, TaskStatistics

__all__ = [
    "App",
    "ReloadStatistics",
    "Reloaded",
    "Schedule",
    "ScheduleStatistics",
    "State",
    "TaskState",
    "TaskStatistics",
]
