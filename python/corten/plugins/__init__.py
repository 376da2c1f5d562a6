"""Discovery, order and the descriptions that plugins give back."""

from corten.events.observer import CallDetails, Observer
from corten.plugins.descriptions import DevService, Exporter, Phase, Reply, Request, Resource, Route, Task
from corten.plugins.instances import Instance, Instances
from corten.plugins.record import PluginRecord, PluginState

__all__ = [
    "CallDetails",
    "DevService",
    "Exporter",
    "Instance",
    "Instances",
    "Observer",
    "Phase",
    "PluginRecord",
    "PluginState",
    "Reply",
    "Request",
    "Resource",
    "Route",
    "Task",
]
