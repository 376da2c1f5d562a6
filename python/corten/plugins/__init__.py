"""Discovery, order and the descriptions that plugins give back."""

from corten.pipeline.telemetry.details import CallDetails
from corten.plugins.descriptions import (
    DevService,
    Exporter,
    Observer,
    Phase,
    Reply,
    Request,
    Resource,
    Route,
    Task,
)
from corten.plugins.record import PluginRecord, PluginState

__all__ = [
    "CallDetails",
    "DevService",
    "Exporter",
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
