"""Components of an App before its start."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from corten.app import App
from corten.app.internals import internals_of
from corten.errors import CortenError, PluginError, SettingsError
from corten.health import Check
from corten.pipeline import Pipeline
from corten.plugins import Resource, Task
from corten.policies import Retry, Timeout
from corten.testing import FakeClock

from .recorder import Client, Pool, Recorder


def make(*plugins: object, **options: Any) -> App[None]:
    options.setdefault("config", None)
    return App("test", plugins=plugins, autoload=False, clock=FakeClock(), **options)


async def nothing() -> None:
    pass


def resource(provides: type[Any], *requires: type[Any], name: str = "default") -> Resource:
    @asynccontextmanager
    async def opened(app: App[Any]) -> AsyncIterator[Any]:
        yield provides()

    return Resource(provides, opened, name, requires)


def test_making_an_app_has_no_effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corten.toml").write_text("not TOML at all [")
    handlers, root = signal.getsignal(signal.SIGTERM), list(logging.getLogger().handlers)
    log: list[str] = []
    app = App("quiet", plugins=[Recorder(log=log)])
    assert app.state == "new"
    assert app.plugins == ()
    assert log == []
    assert signal.getsignal(signal.SIGTERM) is handlers
    assert logging.getLogger().handlers == root


def test_an_unknown_component_is_refused_with_the_known_types() -> None:
    with pytest.raises(TypeError, match="cannot add a int to app 'test'; expected one of: AlertRule, Check, Collector"):
        make().add(3)


def test_names_are_unique() -> None:
    app = make()
    app.task(nothing)
    with pytest.raises(CortenError, match="has a task 'nothing' already"):
        app.add(Task("nothing", nothing))
    app.add(Pipeline("users", Timeout(1.0)))
    with pytest.raises(CortenError, match="has a pipeline 'users' already"):
        app.add(Pipeline("users", Timeout(1.0)))
    app.check("disk")(nothing)
    with pytest.raises(ValueError, match="disk"):
        app.add(Check("disk", nothing))


def test_functions_may_share_a_pipeline_whose_policies_are_named_once() -> None:
    app = make()
    app.pipeline("users", Timeout(1.0))(nothing)
    app.pipeline("users")(nothing)
    with pytest.raises(CortenError, match="with other policies"):
        app.pipeline("users", Timeout(2.0))
    assert list(app.pipelines) == ["users"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "pipelines.users: the code uses this pipeline, and the settings have no policies for it"),
        ({"pipelines.users.extends": "htp", "pipelines.http.policies": []}, "did you mean 'http'"),
        ({"pipelines.users.extends": "users"}, "pipelines.users.extends: extends itself"),
        ({"pipelines.users.extends": "b", "pipelines.b.extends": "users"}, "extends itself"),
        ({"dead_letters.store": "nowhere", "pipelines.users.policies": []}, "expected one of memory"),
    ],
)
@pytest.mark.anyio
async def test_settings_that_do_not_fit_the_code_stop_the_start(settings: dict[str, Any], problem: str) -> None:
    app = make(arguments=settings)
    app.pipeline("users")(nothing)
    with pytest.raises(SettingsError, match=problem):
        await app.__aenter__()


@pytest.mark.anyio
async def test_policies_come_from_the_settings_and_from_the_profile_they_extend(
    caplog: pytest.LogCaptureFixture,
) -> None:
    policies = [{"policy": "retry", "max_attempts": 2}, {"policy": "timeout", "seconds": "2s"}]
    app = make(arguments={"pipelines.http.policies": policies, "pipelines.users.extends": "http", "pipelines.user": {}})
    app.pipeline("users")(nothing)
    async with app:
        assert app.pipelines["users"].policies == (Retry(max_attempts=2), Timeout(2.0))
    assert "no pipeline uses [pipelines.user]; did you mean 'users'?" in caplog.text
    assert "[pipelines.http]" not in caplog.text


class MySettings(msgspec.Struct, frozen=True):
    greeting: str = "hello"


@pytest.mark.anyio
async def test_the_applications_own_settings_are_typed() -> None:
    app = App("x", settings=MySettings, autoload=False, config=None, arguments={"app.greeting": "hej"})
    with pytest.raises(CortenError, match="no settings yet"):
        _ = app.settings
    async with app:
        assert app.settings.greeting == "hej"
        assert app.environment == "production"
    assert make().settings is None


def test_a_settings_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        make(config=tmp_path / "missing.toml").load()


@pytest.mark.anyio
async def test_resources_come_by_requirement_then_by_name() -> None:
    class A: ...

    class B: ...

    class C: ...

    app = make()
    for each in (resource(C), resource(A, B), resource(B, name="second"), resource(B)):
        app.add(each)
    async with app:
        found = [(kind.__name__, name) for kind, name in internals_of(app).life.resources.open_now]
    assert found == [("B", "default"), ("B", "second"), ("A", "default"), ("C", "default")]


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ([resource(Pool, Client)], "Pool requires Client, which no plugin provides; provided are: Pool"),
        ([resource(Pool, Client), resource(Client, Pool)], "Client requires Pool requires Client"),
        (
            [resource(Pool), resource(Pool)],
            "Pool is provided by 'app' .added in code. already",
        ),
    ],
)
@pytest.mark.anyio
async def test_resources_that_cannot_be_ordered_stop_the_start(resources: list[Resource], words: str) -> None:
    app = make()
    for each in resources:
        app.add(each)
    with pytest.raises(CortenError, match=words):
        await app.__aenter__()


@pytest.mark.anyio
async def test_an_override_replaces_the_opened_resource() -> None:
    log: list[str] = []
    app = make(Recorder(log=log))
    fake = Pool()
    app.override(Pool, fake)
    assert app.get(Pool) is fake
    async with app:
        assert app.get(Pool) is fake
        with pytest.raises(CortenError, match="has started: override Client before"):
            app.override(Client, Client())
        with pytest.raises(CortenError, match="has started: add to it before"):
            app.task(nothing)
    assert "recorder open" not in log


@pytest.mark.anyio
async def test_an_override_satisfies_a_requirement() -> None:
    app = make()
    app.add(resource(Pool, Client))
    app.override(Client, Client())
    async with app:
        assert isinstance(app.get(Pool), Pool)


@pytest.mark.anyio
async def test_a_plugin_whose_driver_needs_asyncio_refuses_trio(anyio_backend: str) -> None:
    class AsyncioPlugin(Recorder):
        backends = ("asyncio",)

    app = make(AsyncioPlugin())
    if anyio_backend == "trio":
        with pytest.raises(PluginError, match="its driver runs on asyncio only, and this App is started on trio"):
            await app.__aenter__()
    else:
        async with app:
            pass


@pytest.mark.anyio
async def test_the_probes_say_how_the_app_is() -> None:
    app = make()
    async with app:
        assert {(await app.health.run(probe)).status for probe in ("live", "ready", "startup")} == {"up"}
        internals_of(app).life.fail(ValueError("lost"))
        assert (await app.health.run("live")).status == "down"
        assert (await app.health.run("ready")).status == "down"
    assert app.state == "failed"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_a_started_app_refuses_to_live_through_a_fork() -> None:
    app = make(Recorder())
    async with app:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                app.get(Pool)
            except CortenError as error:
                os.write(writer, str(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)  # noqa: ASYNC222 - it ends at once
        said = os.read(reader, 1000).decode()
        os.close(reader)
        assert isinstance(app.get(Pool), Pool)
    assert "does not survive a fork: start an App of its own" in said


def test_a_name_is_needed() -> None:
    with pytest.raises(ValueError, match="an App needs a name"):
        App(" ")
    with pytest.raises(ValueError, match="a pipeline needs a name"):
        Pipeline("", Retry())


@pytest.mark.parametrize("what", ["task", "every", "check", "consumer"])
def test_decorated_functions_must_be_async(what: str) -> None:
    app = make()
    decorators = {"task": app.task, "every": app.every("1s"), "check": app.check("c"), "consumer": app.consumer("t")}

    def plain() -> None: ...

    with pytest.raises(TypeError, match=f"{what} awaits .*plain, which is a sync function: make it `async def`"):
        decorators[what](plain)  # type: ignore[operator]
