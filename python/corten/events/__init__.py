"""Notable things as they happen, told to whoever subscribed."""

from corten.events.bus import Events, EventsStatistics, Occurrence
from corten.events.decision import (
    CallDegraded,
    CallFailed,
    CallHedged,
    CallRefused,
    CallRetried,
    CallTimedOut,
    Decision,
    FaultInjected,
)
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
    "CallDegraded",
    "CallFailed",
    "CallHedged",
    "CallRefused",
    "CallRetried",
    "CallTimedOut",
    "DeadLettered",
    "Decision",
    "Degraded",
    "Event",
    "Events",
    "EventsStatistics",
    "FaultInjected",
    "Occurrence",
    "PhaseFinished",
    "Recovered",
    "Severity",
    "TaskFailed",
    "TaskRestarted",
]
