"""Evaluates alert rules, remembers what they did, and tells whoever wants to know."""

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
    """Where a rule stands, and since when."""

    rule: str
    state: AlertState
    severity: Severity
    since: float
    """Wall-clock time since which it is in this state, in seconds since the epoch."""
    value: float | None = None
    """What was measured last; None where there was nothing to measure, and for checks."""
    message: str = ""


AlertSink = Callable[[Alert], object]
"""Told of every alert that fires or is resolved; quick, and without I/O."""


class AlertsStatistics(msgspec.Struct, frozen=True):
    """What :class:`Alerts` did."""

    rules: int
    firing: int
    evaluations: int
    sink_errors: int


class Alerts:
    """The alert rules of one App.

    A rule is ``ok`` until it is breached, then ``pending`` for as long as it asks for, then ``firing`` until it is no
    longer breached, then ``resolved``, from where it goes on as from ``ok``. Where there is nothing to measure, a rule
    stays as it is. Two changes are told to sinks: to ``firing``, and to ``resolved``; events are emitted for all.

    :param clock: measures how long a rule was breached
    :param health: whose checks health rules are about
    :param max_history: how many changes :meth:`history` remembers; the oldest is forgotten first
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
        self._standing: dict[str, _Standing] = {}
        self._sinks: tuple[AlertSink, ...] = ()
        self._history: deque[Alert] = deque(maxlen=max_history)
        self._evaluations = 0
        self._sink_errors = 0

    def add(self, rule: AlertRule | HealthRule) -> None:
        """Watch a rule.

        :raises ValueError: there is a rule of this name
        """
        if rule.name in self._standing:
            raise ValueError(f"there is an alert rule named {rule.name!r} already: give this one another name")
        self._standing[rule.name] = _Standing(rule, self._wall())

    def add_sink(self, sink: AlertSink) -> None:
        """Tell ``sink`` of every alert that fires or is resolved. What it raises is logged and reaches nobody."""
        self._sinks = (*self._sinks, sink)

    def evaluate(self, snapshot: Snapshot | None = None, report: Report | None = None) -> tuple[Alert, ...]:
        """Compare every rule with what is measured now; gives back the alerts that changed.

        :param snapshot: what to evaluate; the registry's own where it is None
        :param report: what the checks found; health rules stay as they are where it is None
        """
        self._evaluations += 1
        now = self._clock.now()
        taken = self._registry.snapshot() if snapshot is None else snapshot
        changed: list[Alert] = []
        for standing in self._standing.values():
            before = standing.alert.state
            if standing.evaluate(taken, report, now, self._wall()):
                changed.append(standing.alert)
                self._tell(before, standing.alert)
        return tuple(changed)

    async def run(self, every: float = 15.0) -> None:
        """Evaluate all rules again and again.

        :param every: seconds between two evaluations
        """
        while True:
            await self._clock.sleep(every)
            self.evaluate(report=None if self._health is None else await self._health.run(None))

    def current(self) -> tuple[Alert, ...]:
        """Where every rule stands."""
        return tuple(standing.alert for standing in self._standing.values())

    def history(self) -> tuple[Alert, ...]:
        """The last changes, oldest first."""
        return tuple(self._history)

    def statistics(self) -> AlertsStatistics:
        """How many rules there are and fire, and what was done."""
        firing = sum(standing.alert.state == "firing" for standing in self._standing.values())
        return AlertsStatistics(len(self._standing), firing, self._evaluations, self._sink_errors)

    def _tell(self, before: AlertState, alert: Alert) -> None:
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
            except Exception:  # noqa: BLE001 - a stranger's code: whatever it raises stays with it
                self._sink_errors += 1
                _log.exception("alert sink %r failed on %s", sink, alert.rule)


class _Standing:
    """One rule and its state."""

    def __init__(self, rule: AlertRule | HealthRule, wall: float) -> None:
        self.alert = Alert(rule.name, "ok", rule.severity, wall)
        self._rule = rule
        self._measure: Measure | None = None
        if isinstance(rule, AlertRule):
            from corten.alerts.measure import Measure

            self._measure = Measure(rule)
        self._breached_at = 0.0

    def evaluate(self, snapshot: Snapshot, report: Report | None, now: float, wall: float) -> bool:
        """Bring the alert up to date; whether its state changed."""
        found = self._compare(snapshot, report, now)
        if found is None:
            return False
        breached, value, message = found
        state = self._next(breached, now)
        changed = state != self.alert.state
        since = wall if changed else self.alert.since
        self.alert = Alert(self._rule.name, state, self._rule.severity, since, value, message)
        return changed

    def _next(self, breached: bool, now: float) -> AlertState:
        state = self.alert.state
        if not breached:
            return "resolved" if state in {"firing", "resolved"} else "ok"
        if state == "firing":
            return state
        if state != "pending":
            self._breached_at = now
        return "firing" if now - self._breached_at >= self._rule.for_seconds else "pending"

    def _compare(self, snapshot: Snapshot, report: Report | None, now: float) -> tuple[bool, float | None, str] | None:
        """Whether the rule is breached, by what, in words; None where there is nothing to compare."""
        rule = self._rule
        if isinstance(rule, AlertRule):
            value = None if self._measure is None else self._measure.read(snapshot, now)
            return None if value is None else (rule.breached_by(value), value, rule.describe(value))
        check = None if report is None else report.checks.get(rule.check)
        if check is None:
            return None
        breached = check.status == "down" or check.status == rule.status
        return breached, None, f"check {rule.check} is {check.status}" + (f": {check.message}" if check.message else "")
