"""Alerts: evaluate rules, keep a history, call sinks."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from corten.alerts.rule import AlertRule, HealthRule
from corten.clock import Clock
from corten.events import AlertChanged, AlertState, Events, Severity
from corten.health import Health, Report
from corten.metrics import Registry, Snapshot

if TYPE_CHECKING:
    from corten.alerts.measure import Measure

_log = logging.getLogger("corten.alerts")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}


class Alert(msgspec.Struct, frozen=True):
    """The state of a rule, and the time of its last change."""

    rule: str
    state: AlertState
    severity: Severity
    since: float
    """Wall-clock time of the change to this state, in seconds since the epoch."""
    value: float | None = None
    """The last measured value; None without one, and for checks."""
    message: str = ""


AlertSink = Callable[[Alert], object]
"""Called with every alert that fires or is resolved; must be quick, and do no I/O."""


class AlertsStatistics(msgspec.Struct, frozen=True):
    """Counts of :class:`Alerts`."""

    rules: int
    firing: int
    evaluations: int
    sink_errors: int


class Alerts:
    """The alert rules of one App.

    A rule is ``ok`` until it is breached, then ``pending`` for ``for_seconds``, then ``firing`` while it is breached,
    then ``resolved``, which continues like ``ok``. Without a value to measure, a rule keeps its state. Sinks are called
    for changes to ``firing`` and to ``resolved``; events are emitted for all changes.

    :param clock: measures how long a rule is breached
    :param health: runs the checks of health rules
    :param max_history: the most changes that :meth:`history` returns; the oldest is dropped first
    :param wall: wall-clock time, in seconds since the epoch
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock | None = None,
        *,
        health: Health | None = None,
        events: Events | None = None,
        max_history: int = 200,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._clock = Clock() if clock is None else clock
        self._health = health
        self._events = events
        self._wall = wall
        self._rules: dict[str, _RuleState] = {}
        self._sinks: tuple[AlertSink, ...] = ()
        self._history: deque[Alert] = deque(maxlen=max_history)
        self._evaluations = 0
        self._sink_errors = 0

    def add(self, rule: AlertRule | HealthRule) -> None:
        """Add a rule.

        :raises ValueError: a rule of this name exists
        """
        if rule.name in self._rules:
            raise ValueError(f"an alert rule named {rule.name!r} exists already: give this one another name")
        self._rules[rule.name] = _RuleState(rule, self._wall())

    def add_sink(self, sink: AlertSink) -> None:
        """Add a sink for alerts that fire or are resolved; its errors are logged."""
        self._sinks = (*self._sinks, sink)

    def evaluate(self, snapshot: Snapshot | None = None, report: Report | None = None) -> tuple[Alert, ...]:
        """Evaluate every rule; return the alerts that changed.

        :param snapshot: the metrics; None: of the registry
        :param report: the results of checks; None: health rules keep their states
        """
        self._evaluations += 1
        now = self._clock.now()
        metrics = self._registry.snapshot() if snapshot is None else snapshot
        changed: list[Alert] = []
        for rule_state in self._rules.values():
            before = rule_state.alert.state
            if rule_state.evaluate(metrics, report, now, self._wall()):
                changed.append(rule_state.alert)
                self._report(before, rule_state.alert)
        return tuple(changed)

    async def run(self, every: float = 15.0) -> None:
        """Evaluate all rules repeatedly.

        :param every: seconds between two evaluations
        """
        while True:
            await self._clock.sleep(every)
            self.evaluate(report=None if self._health is None else await self._health.run(None))

    def current(self) -> tuple[Alert, ...]:
        """Return the state of every rule."""
        return tuple(rule_state.alert for rule_state in self._rules.values())

    def history(self) -> tuple[Alert, ...]:
        """Return the last changes, oldest first."""
        return tuple(self._history)

    def statistics(self) -> AlertsStatistics:
        """Return counts of rules, firing rules, evaluations and errors of sinks."""
        firing = sum(rule_state.alert.state == "firing" for rule_state in self._rules.values())
        return AlertsStatistics(len(self._rules), firing, self._evaluations, self._sink_errors)

    def _report(self, before: AlertState, alert: Alert) -> None:
        self._history.append(alert)
        if self._events is not None:
            self._events.emit(
                AlertChanged(
                    rule=alert.rule,
                    before=before,
                    after=alert.state,
                    severity=alert.severity,
                    value=alert.value,
                    message=alert.message,
                )
            )
        if alert.state not in {"firing", "resolved"}:
            return
        level = _LEVELS[alert.severity] if alert.state == "firing" else logging.INFO
        _log.log(level, "alert %s is %s: %s", alert.rule, alert.state, alert.message)
        for sink in self._sinks:
            try:
                sink(alert)
            except Exception:  # noqa: BLE001 - an error of a sink must not stop the other sinks
                self._sink_errors += 1
                _log.exception("alert sink %r failed on %s", sink, alert.rule)


class _RuleState:
    def __init__(self, rule: AlertRule | HealthRule, wall: float) -> None:
        self.alert = Alert(rule.name, "ok", rule.severity, wall)
        self._rule = rule
        self._measure: Measure | None = None
        if isinstance(rule, AlertRule):
            from corten.alerts.measure import Measure

            self._measure = Measure(rule)
        self._breached_at = 0.0

    def evaluate(self, snapshot: Snapshot, report: Report | None, now: float, wall: float) -> bool:
        """Update the alert; return whether its state changed."""
        found = self._compare(snapshot, report, now)
        if found is None:
            return False
        breached, value, message = found
        state = self._next_state(breached, now)
        changed = state != self.alert.state
        since = wall if changed else self.alert.since
        self.alert = Alert(self._rule.name, state, self._rule.severity, since, value, message)
        return changed

    def _next_state(self, breached: bool, now: float) -> AlertState:
        state = self.alert.state
        if not breached:
            return "resolved" if state in {"firing", "resolved"} else "ok"
        if state == "firing":
            return state
        if state != "pending":
            self._breached_at = now
        return "firing" if now - self._breached_at >= self._rule.for_seconds else "pending"

    def _compare(self, snapshot: Snapshot, report: Report | None, now: float) -> tuple[bool, float | None, str] | None:
        """Return breach, value and message; None without a value."""
        rule = self._rule
        if isinstance(rule, AlertRule):
            value = None if self._measure is None else self._measure.read(snapshot, now)
            return None if value is None else (rule.breached_by(value), value, rule.describe(value))
        check = None if report is None else report.checks.get(rule.check)
        if check is None:
            return None
        breached = check.status == "down" or check.status == rule.status
        return breached, None, f"check {rule.check} is {check.status}" + (f": {check.message}" if check.message else "")
