"""Discovery, order and the descriptions that plugins give back."""

from corten.plugins.descriptions import (
    CallDetails,
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

__all__ = [
    "CallDetails",
    "DevService",
    "Exporter",
    "Observer",
    "Phase",
    "Reply",
    "Request",
    "Resource",
    "Route",
    "Task",
]
