"""An App cancelled at each await leaks nothing and swallows no cancellation."""

from __future__ import annotations

import anyio
import pytest

from corten.app import App
from corten.app.internals import internals_of
from corten.testing import FakeClock, cancel_at_each_await

from .recorder import Client, Pool, Recorder

pytestmark = pytest.mark.anyio


async def test_an_app_cancelled_at_any_await_closes_its_resources() -> None:
    lives: list[tuple[App[None], Recorder, Recorder]] = []

    async def live() -> None:
        a, b = Recorder("a"), Recorder("b", provides=Client, needs=(Pool,), phase="intake")
        app = App("test", plugins=[a, b], autoload=False, config=None, clock=FakeClock())
        lives.append((app, a, b))
        async with app:
            await anyio.lowlevel.checkpoint()
            assert app.get(Client)

    def check() -> None:
        app, a, b = lives[-1]
        assert a.held == b.held == 0
        assert app.state in ("new", "stopped")
        assert internals_of(app).life.resources.open_now == {}
        assert all(task.done.is_set() for task in internals_of(app).life.tasks)

    assert await cancel_at_each_await(live, check) > 5


async def test_a_cancelled_block_still_finds_resources_during_its_cleanup() -> None:
    found: list[object] = []
    app = App("test", plugins=[Recorder()], autoload=False, config=None, clock=FakeClock())
    with anyio.CancelScope() as scope:
        async with app:
            try:
                scope.cancel()
                await anyio.sleep_forever()
            finally:
                found.append(app.get(Pool))
    assert found
    assert scope.cancelled_caught
    assert app.state == "stopped"


async def test_a_shutdown_that_is_cancelled_is_cut_short(fake_clock: FakeClock) -> None:
    log: list[str] = []
    app = App("test", plugins=[Recorder(hangs=["stop"], log=log)], autoload=False, config=None, clock=fake_clock)
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                await anyio.wait_all_tasks_blocked()
                assert app.state == "stopping"
                scope.cancel()
                await fake_clock.advance(3)

            async with app:
                group.start_soon(cancel)
    assert scope.cancelled_caught
    assert app.state == "stopped"
    assert "recorder close" in log
