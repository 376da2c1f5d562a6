"""The composition root: settings, plugins, resources and tasks with one lifecycle.

What only a running App needs is loaded when it starts, or when its name is first used.
"""

from typing import TYPE_CHECKING

from corten.app.app import App
from corten.app.lifecycle import State

if TYPE_CHECKING:
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


def __getattr__(name: str) -> object:
    rooms = {
        "ReloadStatistics": "reload",
        "Reloaded": "reload",
        "Schedule": "schedule",
        "ScheduleStatistics": "schedule",
        "TaskState": "tasks",
        "TaskStatistics": "tasks",
    }
    if name not in rooms:
        raise AttributeError(f"module 'corten.app' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"corten.app.{rooms[name]}"), name)
    globals()[name] = value  # the next time it is found without asking here
    return value


def __dir__() -> list[str]:
    return __all__
