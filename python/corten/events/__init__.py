"""Notable things as they happen, told to whoever subscribed."""

from corten.events.bus import Events, EventsStatistics, Occurrence
from corten.events.event import (
    AlertChanged,
    AlertState,
    BreakerChanged,
    BreakerState,
    DeadLettered,
    Degraded,
    Event,
    PhaseFinished,
    Recovered,
    Severity,
    TaskFailed,
    TaskRestarted,
)

__all__ = [
    "AlertChanged",
    "AlertState",
    "BreakerChanged",
    "BreakerState",
    "DeadLettered",
    "Degraded",
    "Event",
    "Events",
    "EventsStatistics",
    "Occurrence",
    "PhaseFinished",
    "Recovered",
    "Severity",
    "TaskFailed",
    "TaskRestarted",
]
