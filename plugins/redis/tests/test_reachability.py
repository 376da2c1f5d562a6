"""Knowing whether the server is there."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from corten.testing import FakeClock
from corten_redis.reachability import Reachability


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_closing_while_cancelled_ends_the_probe_and_stays_cancelled() -> None:
    ended = asyncio.Event()

    async def probe() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    reachability = Reachability(probe, clock=FakeClock(), interval=1.0, on_change=lambda *_: None)
    reachability.suspect()
    await anyio.wait_all_tasks_blocked()
    closing = asyncio.get_running_loop().create_task(reachability.close())
    await asyncio.sleep(0)  # it has cancelled the probe and waits for its end
    closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled()
    await ended.wait()
