"""The watchdog, in real time: a loop that is blocked is logged with the stack that blocks it."""

from __future__ import annotations

import logging
import time

import anyio
import pytest

from corten.app import App
from corten_health import HealthPlugin

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


def block_the_loop() -> None:
    time.sleep(1.2)


async def test_what_blocks_the_loop_is_named(caplog: pytest.LogCaptureFixture) -> None:
    arguments = {"health.blocked_after": 0.5, "health.loop_degraded": 0.25}
    app = App("tested", plugins=[HealthPlugin], autoload=False, config=None, arguments=arguments)
    with caplog.at_level(logging.WARNING, "corten.health"):
        async with app:
            await anyio.sleep(0.3)  # a first sign of life
            block_the_loop()
            with anyio.fail_after(10):
                while "runs again after" not in caplog.text:  # noqa: ASYNC110 - a thread says it
                    await anyio.sleep(0.05)
            found = (await app.health.run("ready")).checks["loop"]
    assert "in block_the_loop" in caplog.text
    assert found.status == "degraded"
    assert found.details["blocked"] == 1
