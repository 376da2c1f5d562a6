"""The plugin in an App: checks, probes' pages, measurements, on both backends."""

from __future__ import annotations

import msgspec
import pytest

from corten.app import App
from corten.health import Check, Finding
from corten.plugins import Reply, Request, Route
from corten_health import HealthPlugin

pytestmark = pytest.mark.anyio

CALM = {  # whatever the machine is doing while the tests run
    "health.memory_degraded": 1.0,
    "health.memory_down": 1.0,
    "health.disk_degraded": 1.0,
    "health.disk_down": 1.0,
    "health.cpu_degraded": 1.0,
    "health.loop_degraded": 50.0,
    "health.loop_down": 50.0,
}


def make(**arguments: object) -> App[None]:
    given = {name.replace("__", "."): value for name, value in arguments.items()}
    return App("tested", plugins=[HealthPlugin], autoload=False, config=None, arguments={**CALM, **given})


def pages(app: App[None]) -> dict[str, Route]:
    return {route.path: route for _, routes in app.call_hook("corten_ops_routes") for route in routes}


async def ask(app: App[None], path: str, **query: str) -> tuple[Reply, dict[str, object]]:
    reply = await pages(app)[path].handle(Request(path, query))
    return reply, msgspec.json.decode(reply.body)


async def test_the_probes_answer_with_every_check() -> None:
    app = make()
    async with app:
        reply, body = await ask(app, "/readyz")
        assert reply.status == 200
        assert body["checks"] == {"memory": "up", "disk": "up", "cpu": "up", "loop": "up", "app.ready": "up"}
        reply, body = await ask(app, "/livez")
        assert (reply.status, body) == (200, {"status": "up", "checks": {"app.live": "up"}})
        reply, body = await ask(app, "/startupz")
        assert reply.status == 200
        reply, body = await ask(app, "/health")
        assert body["checks"]["memory"]["details"]["total_bytes"] > 0  # type: ignore[index]


async def test_a_check_that_is_down_answers_503_and_says_why_only_when_asked() -> None:
    app = make(health__checks=[])

    async def broken() -> Finding:
        return Finding("down", "the ledger is away")

    app.health.add(Check("ledger", broken))
    async with app:
        reply, body = await ask(app, "/readyz")
        assert (reply.status, body["checks"]) == (503, {"ledger": "down", "app.ready": "up"})
        reply, _ = await ask(app, "/readyz", verbose="")
        assert b"the ledger is away" in reply.body
        reply, _ = await ask(app, "/readyz", verbose="false")
        assert b"the ledger is away" not in reply.body
        reply, _ = await ask(app, "/livez")
        assert reply.status == 200


async def test_only_the_checks_that_are_wanted_are_made_and_critical_ones_are_so() -> None:
    app = make(health__checks=["disk", "memory"], health__critical=["disk"])
    async with app:
        assert {name: check.critical for name, check in app.health.checks.items() if "." not in name} == {
            "disk": True,
            "memory": False,
        }


async def test_the_process_is_measured() -> None:
    app = make()
    async with app:
        values = {
            instrument.name: instrument.series[0].value
            for instrument in app.registry.snapshot().instruments
            if instrument.name.startswith("corten_process_")
        }
    assert values["corten_process_cpu"] > 0
    assert values["corten_process_resident_memory"] > 1e6
    assert values["corten_process_open_descriptors"] > 2
    assert values["corten_process_loop_blocked"] == 0
    assert "corten_process_loop_lag" in values
