"""Starting, running and stopping, on both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from corten.app import App
from corten.app.internals import internals_of
from corten.errors import CortenError, PluginError, ResourceUnavailable
from corten.events import PhaseFinished
from corten.plugins import Resource
from corten.testing import FakeClock

from .recorder import Client, Pool, Recorder

pytestmark = pytest.mark.anyio


def make(*plugins: object, clock: FakeClock | None = None) -> App[None]:
    return App("test", plugins=plugins, autoload=False, config=None, clock=clock or FakeClock())


async def test_an_app_opens_in_order_of_requirement_and_closes_in_reverse() -> None:
    log: list[str] = []
    app = make(Recorder("a", provides=Client, needs=(Pool,), log=log), Recorder("b", log=log))
    async with app:
        assert app.state == "running"
        assert isinstance(app.get(Client), Client)
    assert app.state == "stopped"
    moments = [each for each in log if each.endswith(("open", "close"))]
    assert moments == ["b open", "a open", "a close", "b close"]
    assert log.index("a open") < log.index("a task") < log.index("a stop") < log.index("a close")


async def test_phases_come_in_order_and_are_logged_with_their_time() -> None:
    app = make(Recorder())
    phases: list[str] = []
    app.events.subscribe(lambda event: phases.append(event.phase), PhaseFinished)
    async with app:
        pass
    assert phases == [
        "load", "resources", "plugins", "pipelines", "tasks",
        "not ready", "intake", "work", "flush", "close",
    ]  # fmt: skip


async def test_an_app_lives_once() -> None:
    app = make()
    async with app:
        pass
    with pytest.raises(CortenError, match="was started before"):
        await app.__aenter__()


async def test_a_resource_without_provider_is_an_error_that_lists_the_open_ones() -> None:
    app = make(Recorder())
    with pytest.raises(ResourceUnavailable, match="has not started"):
        app.get(Pool)
    async with app:
        with pytest.raises(ResourceUnavailable, match="no Client: no plugin provides it; open in app 'test' are: Pool"):
            app.get(Client)
    with pytest.raises(ResourceUnavailable, match="has stopped"):
        app.get(Pool)


HOOKS = (
    "corten_resources",
    "corten_health_checks",
    "corten_metrics",
    "corten_observers",
    "corten_exporters",
    "corten_tasks",
)


@pytest.mark.parametrize("moment", [*HOOKS, "open", "ready"])
async def test_a_failed_start_undoes_everything_and_names_plugin_and_cause(moment: str) -> None:
    log: list[str] = []
    app = make(Recorder("a", log=log), Recorder("b", provides=Client, needs=(Pool,), fails=[moment], log=log))
    with pytest.raises(PluginError, match=f"plugin 'b' .passed in code.*b fails at {moment}"):
        async with app:
            pytest.fail("must not start")
    assert app.state == "failed"
    assert log.count("a open") == log.count("a close")
    assert log.count("a task") == log.count("a stop")
    with pytest.raises(ResourceUnavailable):
        app.get(Pool)


async def test_all_errors_of_stopping_are_in_one_group() -> None:
    log: list[str] = []
    app = make(
        Recorder("a", fails=["close"], log=log), Recorder("b", provides=Client, fails=["close", "stop"], log=log)
    )
    with pytest.raises(ExceptionGroup) as caught:
        async with app:
            pass
    words = [str(error) for error in caught.value.exceptions]
    assert len(words) == 3
    assert "b fails at stop" in words[0]
    assert {"plugin 'b'" in words[2] or "plugin 'a'" in words[2], "fails at close" in words[1]} == {True}
    assert app.state == "stopped"


async def test_the_error_of_the_block_gets_notes_about_errors_of_stopping() -> None:
    app = make(Recorder(fails=["close"]))
    with pytest.raises(KeyError) as caught:
        async with app:
            raise KeyError("mine")
    assert "fails at close" in caught.value.__notes__[0]


async def test_a_plugin_that_hangs_while_stopping_is_named_and_left_behind() -> None:
    clock = FakeClock()
    log: list[str] = []
    app = make(Recorder("a", hangs=["close"], log=log), Recorder("b", provides=Client, log=log), clock=clock)
    caught: list[Any] = []

    async def live() -> None:
        try:
            async with app:
                started.set()
                await leave.wait()
        except ExceptionGroup as group:
            caught.append(group)

    started, leave = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(live)
        await started.wait()
        leave.set()
        await clock.advance(30)
    assert "resource Pool of plugin 'a'" in str(caught[0].exceptions[0])
    assert "b close" in log


async def test_two_apps_in_one_process_share_nothing() -> None:
    first, second = make(Recorder()), make(Recorder())
    async with first:
        async with second:
            assert first.get(Pool) is not second.get(Pool)
            assert first.registry is not second.registry
        assert second.state == "stopped"
        assert first.state == "running"
        assert isinstance(first.get(Pool), Pool)


@pytest.mark.parametrize("kind", [OSError, ValueError])
async def test_an_error_of_opening_hides_the_password(kind: type[Exception]) -> None:
    @asynccontextmanager
    async def opened(_: App[Any]) -> AsyncIterator[Pool]:
        raise kind("invalid address postgres://app:hunter2@db/x?password=hunter2")
        yield Pool()

    app = make()
    app.add(Resource(Pool, opened))
    with pytest.raises(CortenError, match="invalid address postgres://app:<secret>@db/x") as caught:
        await app.__aenter__()
    assert "hunter2" not in str(caught.value)


async def test_a_resource_that_ends_while_the_app_runs_fails_it() -> None:
    app = make()
    breaks = anyio.Event()

    async def broken() -> None:
        await breaks.wait()
        raise ConnectionError("server gone for good")

    @asynccontextmanager
    async def opened(app: App[Any]) -> AsyncIterator[Pool]:
        async with anyio.create_task_group() as group:
            group.start_soon(broken)
            yield Pool()
            group.cancel_scope.cancel()

    app.add(Resource(Pool, opened))
    async with app:
        breaks.set()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert app.state == "failed"
        assert "resource Pool ended while the app was running" in str(app.failure)
        with pytest.raises(ResourceUnavailable):
            app.get(Pool)


async def test_an_error_in_a_cancelled_opening_is_not_lost() -> None:
    app = make()
    log: list[str] = []

    @asynccontextmanager
    async def opened(app: App[Any]) -> AsyncIterator[Pool]:
        try:
            await anyio.sleep_forever()
            yield Pool()
        finally:
            log.append("cleaned up")
            raise ValueError("while cleaning up")

    app.add(Resource(Pool, opened))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                await anyio.wait_all_tasks_blocked()
                scope.cancel()

            group.start_soon(cancel)
            await app.__aenter__()
    assert scope.cancelled_caught
    assert log == ["cleaned up"]
    assert "while cleaning up" in str(internals_of(app).life.errors[0])


async def test_the_error_of_a_failed_start_is_logged_last(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "corten.app")
    app = App("a", autoload=False, config=None)
    app.pipeline("users")
    with pytest.raises(CortenError):
        async with app:
            pass
    assert "pipelines.users" in caplog.messages[-1]
    assert caplog.records[-1].levelname == "ERROR"
