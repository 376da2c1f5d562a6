"""An App evaluates its alert rules while it runs."""

from __future__ import annotations

import pytest

from corten.alerts import AlertRule, HealthRule
from corten.app import App
from corten.errors import CortenError
from corten.events import AlertChanged
from corten.health import Check, Finding
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


async def test_rules_over_metrics_and_checks_fire_and_emit_events() -> None:
    async def down() -> Finding:
        return Finding("down", "refused")

    clock = FakeClock()
    app = App("test", autoload=False, config=None, clock=clock)
    app.add(AlertRule("queue", "queue_length", above=10, for_seconds=30))
    app.add(HealthRule("database", "postgres"))
    app.add(Check("postgres", down))
    told: list[tuple[str, str]] = []
    app.events.subscribe(lambda event: told.append((event.rule, event.after)), AlertChanged)
    app.registry.gauge("queue_length").set(11)
    async with app:
        await clock.advance(15)
        assert told == [("queue", "pending"), ("database", "firing")]
        await clock.advance(30)
        assert told[-1] == ("queue", "firing")


async def test_without_rules_nothing_is_evaluated() -> None:
    clock = FakeClock()
    app = App("test", autoload=False, config=None, clock=clock)
    async with app:
        await clock.advance(60)
    assert app.alerts.statistics().evaluations == 0


async def test_two_rules_of_one_name_are_refused() -> None:
    app = App("test", autoload=False, config=None)
    app.add(AlertRule("queue", "queue_length", above=10))
    with pytest.raises(CortenError, match="app 'test': an alert rule named 'queue' exists already"):
        app.add(AlertRule("queue", "queue_length", above=20))
