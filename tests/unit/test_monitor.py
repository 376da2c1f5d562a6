"""The monitor's page of settings: its services have the numbers of the team that asked for them, and keep to them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from corten import App, Pipeline
from corten.errors import CircuitOpen, RateLimited
from corten.testing import FakeClock, only_first_attempt

pytestmark = pytest.mark.anyio

MONITOR = Path(__file__).parents[2] / "examples" / "monitor"

BREAKERS = {
    "twitter_api": (5, 2, 120.0),
    "news_feeds": (10, 3, 60.0),
    "email_service": (3, 2, 300.0),
    "database": (5, 2, 60.0),
}
"""Failures that open it, successes that close it, seconds it stays open."""

LIMITS = {
    "twitter_api": (0.5, 5),
    "news_feeds": (10.0, 20),
    "email_service": (1.0, 5),
    "api_endpoints": (100.0, 200),
}
"""Calls a second, and at once."""


def module() -> Any:
    specification = importlib.util.spec_from_file_location("monitor_service", MONITOR / "service.py")
    assert specification is not None
    assert specification.loader is not None
    found = importlib.util.module_from_spec(specification)
    sys.modules["monitor_service"] = found  # where the types of its settings are looked up
    specification.loader.exec_module(found)
    return found


@pytest.fixture
def app(clock: FakeClock) -> App[Any]:
    made = App(
        "monitor",
        settings=module().MonitorSettings,
        config=MONITOR / "corten.toml",
        autoload=False,
        clock=clock,
        arguments={"reload.watch": False},
    )
    for name in sorted({*BREAKERS, *LIMITS}):
        made.add(Pipeline(name))
    return made


async def fails() -> None:
    raise ConnectionError("away")


async def succeeds() -> int:
    return 1


def test_the_service_guards_by_these_pipelines_and_no_others() -> None:
    assert set(module().app.pipelines) == {*BREAKERS, *LIMITS}


@pytest.mark.parametrize("name", BREAKERS)
async def test_breakers_open_wait_and_close_as_asked(name: str, app: App[Any], clock: FakeClock) -> None:
    failures, successes, wait = BREAKERS[name]
    async with app:
        pipeline = app.pipelines[name]
        (breaker,) = pipeline.breakers
        with only_first_attempt(pipeline):
            for number in range(failures):
                assert breaker.state == "closed", number
                with pytest.raises(ConnectionError):
                    await pipeline.call(fails)
            assert breaker.state == "open"
            with pytest.raises(CircuitOpen) as refused:
                await pipeline.call(succeeds)
            assert refused.value.retry_after == wait
            await clock.advance(wait)
            for number in range(successes):
                assert breaker.state != "closed", number
                assert await pipeline.call(succeeds) == 1
            assert breaker.state == "closed"


@pytest.mark.parametrize("name", LIMITS)
async def test_limits_let_through_as_asked(name: str, app: App[Any]) -> None:
    rate, burst = LIMITS[name]
    async with app:
        (limit,) = app.pipelines[name].rate_limits
        assert (limit.rate, limit.burst) == (pytest.approx(rate), burst)
        for _ in range(burst):
            assert await app.pipelines[name].call(succeeds) == 1
        assert limit.estimate() == pytest.approx(1 / rate)


async def test_whoever_asks_the_own_api_too_often_is_told_when_to_come_again(app: App[Any]) -> None:
    async with app:
        pipeline = app.pipelines["api_endpoints"]
        for _ in range(200):
            await pipeline.call(succeeds)
        with pytest.raises(RateLimited) as refused:
            await pipeline.call(succeeds)
        assert refused.value.retry_after == pytest.approx(0.01)
