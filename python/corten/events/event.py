"""What can happen: one frozen struct for each kind of event."""

from __future__ import annotations

from typing import Literal

import msgspec

BreakerState = Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]
AlertState = Literal["ok", "pending", "firing", "resolved"]
Severity = Literal["info", "warning", "critical"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str):
    """Something that happened, told once it is true. Subclass it for events of your own."""


class PhaseFinished(Event, frozen=True, kw_only=True):
    """A phase of start or shutdown is over."""

    app: str
    phase: str
    seconds: float
    error: str = ""
    """What went wrong in it; empty where nothing did."""


class TaskRestarted(Event, frozen=True, kw_only=True):
    """A supervised task failed and will be started again."""

    task: str
    restarts: int
    """How often it was restarted in all, this time included."""
    delay: float
    """Seconds until it starts again."""
    error: str


class TaskFailed(Event, frozen=True, kw_only=True):
    """A supervised task failed for good."""

    task: str
    error: str


class DeadLettered(Event, frozen=True, kw_only=True):
    """Operations or messages were stored as dead letters."""

    source: str
    """The consumer or pipeline that gave up."""
    count: int
    cause: str
    """The error's type: ``ValidationError``; of the first letter where there are several."""
    reason: str = ""
    """The error's words."""


class BreakerChanged(Event, frozen=True, kw_only=True):
    """A circuit breaker went from one state to another."""

    pipeline: str
    """The pipeline that has it; where several share it by name all of them, with commas between."""
    before: BreakerState
    after: BreakerState
    reason: str = ""
    """``5 failures in a row``, ``failure rate 62 % of 120 calls``, ``2 trials succeeded``, ``forced by hand``."""
    breaker: str = ""
    """The name by which pipelines share it; empty where it is one pipeline's own."""
    error: str = ""
    """The failure that was the last straw, in words and without secrets; empty where none was."""


class SettingsReloaded(Event, frozen=True, kw_only=True):
    """The settings were read again while the App ran, and hold."""

    app: str
    changed: tuple[str, ...]
    """The settings that have other values now: ``pipelines.users.policies``."""
    needs_restart: tuple[str, ...]
    """Those that were changed and hold from the next start on."""


class SettingsRejected(Event, frozen=True, kw_only=True):
    """The settings were read again while the App ran, and something is wrong with them: nothing has changed."""

    app: str
    problems: tuple[str, ...]


class Degraded(Event, frozen=True, kw_only=True):
    """Something goes on with less: a server is away, a shared tier is bypassed."""

    what: str
    """``redis``, ``postgres.reporting``."""
    reason: str


class Recovered(Event, frozen=True, kw_only=True):
    """What was degraded is whole again."""

    what: str
    seconds: float = 0.0
    """How long it was degraded."""


class AlertChanged(Event, frozen=True, kw_only=True):
    """An alert rule went from one state to another."""

    rule: str
    before: AlertState
    after: AlertState
    severity: Severity
    value: float | None
    """What was measured; None where there was nothing to measure."""
    message: str = ""
