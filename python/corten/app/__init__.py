"""The composition root: settings, plugins, resources and tasks with one lifecycle.

Names that only a running App needs are loaded at its start, or when they are first used.
"""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names
from corten.app.app import App
from corten.app.lifecycle.lifecycle import State

if TYPE_CHECKING:
    from corten.app.settings.reload import Reloaded, ReloadStatistics
    from corten.app.tasks.schedule import Schedule, ScheduleStatistics
    from corten.app.tasks.supervision import TaskState, TaskStatistics

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "corten.app.settings.reload": ("ReloadStatistics", "Reloaded"),
        "corten.app.tasks.schedule": ("Schedule", "ScheduleStatistics"),
        "corten.app.tasks.supervision": ("TaskState", "TaskStatistics"),
    },
)
