"""Alerts: ok, pending, firing, resolved; sinks and events."""

from __future__ import annotations

import logging
import math

import anyio
import pytest

from corten.alerts import Alert, AlertRule, Alerts, HealthRule
from corten.events import AlertChanged, Events
from corten.health import Check, Finding, Health
from corten.metrics import Registry
from corten.testing import FakeClock


class Watched:
    """A registry with a rule about it, and time that stands still."""

    def __init__(self, *rules: AlertRule | HealthRule) -> None:
        self.clock = FakeClock()
        self.registry = Registry(self.clock)
        self.events = Events()
        self.health = Health(self.clock)
        self.alerts = Alerts(
            self.registry, self.clock, health=self.health, events=self.events, max_history=5, wall=self.clock.now
        )
        for rule in rules:
            self.alerts.add(rule)

    def state_after(self, seconds: float) -> str:
        """Return the state of the first rule some seconds later."""
        self.clock.tick(seconds)
        self.alerts.evaluate()
        return self.alerts.current()[0].state


full = AlertRule("pool full", "pool_used", above=0.9, for_seconds=30, severity="critical")


def test_a_rule_is_pending_for_its_time_then_fires_then_is_resolved() -> None:
    watched = Watched(full)
    used = watched.registry.gauge("pool_used")
    assert watched.state_after(1) == "ok"
    used.set(0.95)
    assert watched.state_after(1) == "pending"
    assert watched.state_after(29.9) == "pending"
    assert watched.state_after(0.2) == "firing"
    assert watched.state_after(100) == "firing"
    used.set(0.5)
    assert watched.state_after(1) == "resolved"
    assert watched.state_after(1) == "resolved"
    used.set(0.95)
    assert watched.state_after(1) == "pending"


def test_a_breach_that_passes_in_time_fires_nothing() -> None:
    watched = Watched(full)
    used = watched.registry.gauge("pool_used")
    for _ in range(3):
        used.set(0.95)
        assert watched.state_after(20) == "pending"
        used.set(0.9)
        assert watched.state_after(1) == "ok"


def test_without_a_time_a_rule_fires_at_once() -> None:
    watched = Watched(AlertRule("empty", "queue_length", below=1))
    watched.registry.gauge("queue_length").set(0)
    assert watched.state_after(0) == "firing"


def test_without_a_value_a_rule_keeps_its_state() -> None:
    watched = Watched(AlertRule("hot", "temperature", above=30, attributes={"room": "a"}))
    temperature = watched.registry.gauge("temperature", attributes=("room",))
    assert watched.state_after(1) == "ok"
    temperature.set(40, room="b")
    assert watched.state_after(1) == "ok"
    temperature.set(40, room="a")
    assert watched.state_after(1) == "firing"
    watched.alerts.evaluate(Registry().snapshot())
    assert watched.alerts.current()[0].state == "firing"


class TestMeasures:
    def test_of_gauges_the_worst_series_counts(self) -> None:
        watched = Watched(AlertRule("low", "level", below=1), AlertRule("high", "level", above=9))
        level = watched.registry.gauge("level", attributes=("tank",))
        level.set(0, tank="a")
        level.set(10, tank="b")
        watched.alerts.evaluate()
        assert [(alert.state, alert.value) for alert in watched.alerts.current()] == [("firing", 0.0), ("firing", 10.0)]

    def test_of_counters_the_sum_of_the_matching_series_counts(self) -> None:
        watched = Watched(AlertRule("errors", "calls", above=5, attributes={"outcome": "error"}))
        calls = watched.registry.counter("calls", attributes=("pipeline", "outcome"))
        calls.add(3, pipeline="a", outcome="error")
        calls.add(100, pipeline="a", outcome="success")
        assert watched.state_after(1) == "ok"
        calls.add(3, pipeline="b", outcome="error")
        assert watched.state_after(1) == "firing"
        assert watched.alerts.current()[0].value == 6

    def test_a_rate_is_the_increase_a_second(self) -> None:
        watched = Watched(AlertRule("busy", "calls", above=10, measure="rate"))
        calls = watched.registry.counter("calls")
        calls.add(1_000_000)
        assert watched.state_after(1) == "ok"
        calls.add(100)
        assert watched.state_after(10) == "ok"
        calls.add(101)
        assert watched.state_after(10) == "firing"
        assert watched.alerts.current()[0].value == pytest.approx(10.1)
        assert watched.state_after(10) == "resolved"

    def test_a_counter_that_was_reset_counts_from_zero(self) -> None:
        watched = Watched(AlertRule("busy", "calls", above=10, measure="rate"))
        first, second = Registry(), Registry()
        first.counter("calls").add(1_000)
        second.counter("calls").add(50)
        watched.alerts.evaluate(first.snapshot())
        watched.clock.tick(1)
        watched.alerts.evaluate(second.snapshot())
        assert watched.alerts.current()[0].value == pytest.approx(50)

    def test_of_histograms_the_mean_since_the_last_time_counts(self) -> None:
        watched = Watched(AlertRule("slow", "duration", above=0.5))
        duration = watched.registry.histogram("duration", unit="seconds")
        for _ in range(1_000):
            duration.record(0.1)
        assert watched.state_after(1) == "ok"
        duration.record(0.4)
        duration.record(0.8)
        assert watched.state_after(1) == "firing"
        assert watched.alerts.current()[0].value == pytest.approx(0.6)
        assert watched.state_after(1) == "firing"  # nothing was recorded: nothing is known
        duration.record(0.1)
        assert watched.state_after(1) == "resolved"


class TestTelling:
    def test_sinks_hear_of_firing_and_resolved_events_of_every_change(self, caplog: pytest.LogCaptureFixture) -> None:
        watched = Watched(full)
        heard: list[Alert] = []
        changes: list[tuple[str, str]] = []
        watched.alerts.add_sink(heard.append)
        watched.events.subscribe(lambda event: changes.append((event.before, event.after)), AlertChanged)
        used = watched.registry.gauge("pool_used")
        with caplog.at_level(logging.INFO, "corten.alerts"):
            for value, seconds in ((0.95, 1), (0.95, 30), (0.1, 1)):
                used.set(value)
                watched.state_after(seconds)
        assert [alert.state for alert in heard] == ["firing", "resolved"]
        assert changes == [("ok", "pending"), ("pending", "firing"), ("firing", "resolved")]
        assert heard[0].message == "pool_used is 0.95; the alert is for above 0.9"
        assert heard[0].severity == "critical"
        assert heard[0].since == pytest.approx(1031)
        assert [entry.levelname for entry in caplog.records] == ["ERROR", "INFO"]

    def test_an_error_of_a_sink_is_logged_and_other_sinks_are_called(self, caplog: pytest.LogCaptureFixture) -> None:
        watched = Watched(AlertRule("empty", "queue_length", below=1))
        heard: list[Alert] = []

        def broken(alert: Alert) -> None:
            raise RuntimeError("mine")

        watched.alerts.add_sink(broken)
        watched.alerts.add_sink(heard.append)
        watched.registry.gauge("queue_length").set(0)
        watched.alerts.evaluate()
        assert len(heard) == 1
        assert "broken" in caplog.text
        assert watched.alerts.statistics().sink_errors == 1

    def test_only_the_last_changes_are_remembered(self) -> None:
        watched = Watched(AlertRule("empty", "queue_length", below=1))
        length = watched.registry.gauge("queue_length")
        for turn in range(20):
            length.set(turn % 2)
            watched.state_after(1)
        assert [alert.state for alert in watched.alerts.history()] == ["resolved", "firing"] * 2 + ["resolved"]
        assert watched.alerts.statistics().evaluations == 20


class TestHealthRules:
    @pytest.mark.anyio
    async def test_a_check_that_is_down_for_its_time_fires(self) -> None:
        finding = Finding("up")

        async def check() -> Finding:
            return finding

        watched = Watched(HealthRule("database", "postgres", for_seconds=60), HealthRule("any", "postgres", "degraded"))
        watched.health.add(Check("postgres", check))
        states = []
        down = Finding("down", "refused")
        for finding in (Finding("up"), Finding("degraded"), down, down, Finding("up")):  # noqa: B007 - read by the check
            watched.clock.tick(60)
            watched.alerts.evaluate(report=await watched.health.run(None))
            states.append(tuple(alert.state for alert in watched.alerts.current()))
        assert states == [
            ("ok", "ok"),
            ("ok", "firing"),
            ("pending", "firing"),
            ("firing", "firing"),
            ("resolved", "resolved"),
        ]
        assert "check postgres is down: refused" in [alert.message for alert in watched.alerts.history()]

    @pytest.mark.anyio
    async def test_running_evaluates_metrics_and_checks_at_the_interval(self) -> None:
        async def check() -> Finding:
            return Finding("down")

        watched = Watched(AlertRule("empty", "queue_length", below=1), HealthRule("database", "postgres"))
        watched.registry.gauge("queue_length")
        watched.health.add(Check("postgres", check))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watched.alerts.run, 10)
            await watched.clock.advance(9)
            assert watched.alerts.statistics().evaluations == 0
            await watched.clock.advance(1)
            assert watched.alerts.statistics().firing == 2
            await watched.clock.advance(20)
            assert watched.alerts.statistics().evaluations == 3
            tasks.cancel_scope.cancel()


class TestRules:
    @pytest.mark.parametrize(
        "arguments",
        [{}, {"above": 1, "below": 2}, {"above": math.nan}, {"above": 1, "for_seconds": -1}, {"below": math.inf}],
    )
    def test_a_rule_that_means_nothing_is_refused(self, arguments: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="alert rule 'odd'"):
            AlertRule("odd", "metric", **arguments)  # type: ignore[arg-type]

    def test_two_rules_cannot_have_one_name(self) -> None:
        with pytest.raises(ValueError, match="an alert rule named 'pool full' exists already"):
            Watched(full, full)

    def test_a_rule_says_what_it_measured(self) -> None:
        rule = AlertRule("errors", "calls", above=5, attributes={"outcome": "error"}, measure="rate")
        assert rule.describe(7.25) == "calls{outcome=error} a second is 7.25; the alert is for above 5"
