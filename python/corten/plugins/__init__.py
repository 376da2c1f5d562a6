"""Discovery, order and the descriptions that plugins give back."""

from corten.pipeline.details import CallDetails
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
