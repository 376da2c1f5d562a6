"""Events of an App, one frozen struct for each."""

from __future__ import annotations

from typing import Literal

import msgspec

BreakerState = Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]
AlertState = Literal["ok", "pending", "firing", "resolved"]
Severity = Literal["info", "warning", "critical"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str):
    """An event; subclass it for events of your own."""


class PhaseFinished(Event, frozen=True, kw_only=True):
    """A phase of start or shutdown is over."""

    app: str
    phase: str
    seconds: float
    error: str = ""
    """The error of the phase; empty: it succeeded."""


class TaskRestarted(Event, frozen=True, kw_only=True):
    """A supervised task failed and will be started again."""

    task: str
    restarts: int
    """The number of restarts, with this one."""
    delay: float
    """Seconds until the restart."""
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
    """The error's type, such as ``ValidationError``; of several letters, the first one's."""
    reason: str = ""
    """The error's text."""


class BreakerChanged(Event, frozen=True, kw_only=True):
    """A circuit breaker went from one state to another."""

    pipeline: str
    """The pipeline; of a shared breaker all pipelines, with commas between."""
    before: BreakerState
    after: BreakerState
    reason: str = ""
    """``5 failures in a row``, ``2 half-open calls succeeded``, ``forced by hand``."""
    breaker: str = ""
    """The name by which pipelines share it; empty: it belongs to one pipeline."""
    error: str = ""
    """The failure that opened it, without secrets; empty: no failure did."""


class SettingsReloaded(Event, frozen=True, kw_only=True):
    """The settings were reloaded and are in force."""

    app: str
    changed: tuple[str, ...]
    """The settings that have changed, such as ``pipelines.users.policies``."""
    needs_restart: tuple[str, ...]
    """Changed settings that take effect at the next start."""


class SettingsRejected(Event, frozen=True, kw_only=True):
    """Reloading the settings failed, and nothing has changed."""

    app: str
    problems: tuple[str, ...]


class Degraded(Event, frozen=True, kw_only=True):
    """A resource is away, and the App runs without it."""

    what: str
    """The resource, such as ``redis`` or ``postgres.reporting``."""
    reason: str


class Recovered(Event, frozen=True, kw_only=True):
    """A degraded resource has recovered."""

    what: str
    seconds: float = 0.0
    """Seconds during which it was degraded."""


class AlertChanged(Event, frozen=True, kw_only=True):
    """An alert rule went from one state to another."""

    rule: str
    before: AlertState
    after: AlertState
    severity: Severity
    value: float | None
    """The measured value; None: there was no measurement."""
    message: str = ""
