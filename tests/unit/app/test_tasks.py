"""Supervision of tasks: restarts, backoff, giving up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from corten.app import App
from corten.app.tasks.supervision import Restarts
from corten.errors import CortenError, SettingsError
from corten.events import TaskFailed, TaskRestarted
from corten.plugins import Exporter, Task
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


def make(clock: FakeClock, **arguments: Any) -> App[None]:
    return App("test", autoload=False, config=None, clock=clock, arguments=arguments)


async def test_a_task_that_fails_is_started_again_with_growing_waits(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    waits: list[float] = []
    app.events.subscribe(lambda event: waits.append(event.delay), TaskRestarted)
    runs: list[float] = []

    @app.task
    async def fragile() -> None:
        runs.append(fake_clock.now())
        if len(runs) < 5:
            raise ValueError("not yet")
        await anyio.sleep_forever()

    async with app:
        await fake_clock.advance(20)
        assert app.state == "running"
        (statistics,) = app.tasks()
    assert len(runs) == 5
    assert statistics.restarts == 4
    assert statistics.state == "running"
    assert statistics.last_error == "ValueError: not yet"
    for wait, longest in zip(waits, (0.5, 1, 2, 4), strict=True):
        assert longest / 2 <= wait <= longest
    assert 'corten_task_restarts_total{task="fragile"} 4' in app.registry.render()


async def test_a_task_that_fails_too_often_fails_the_app_but_not_its_host(fake_clock: FakeClock) -> None:
    app = make(fake_clock, **{"tasks.max_failures": 3})
    failed: list[TaskFailed] = []
    app.events.subscribe(failed.append, TaskFailed)

    @app.task(name="hopeless")
    async def fragile() -> None:
        raise ValueError("never")

    async with app:
        await fake_clock.advance(10)
        assert app.state == "failed"
        assert str(app.failure) == "never"
        assert failed == [TaskFailed(task="hopeless", error="ValueError: never")]
        await anyio.lowlevel.checkpoint()  # the body is not cancelled
    assert app.state == "failed"


async def test_failures_that_are_far_apart_are_forgiven(fake_clock: FakeClock) -> None:
    app = make(fake_clock, **{"tasks.max_failures": 2, "tasks.window": "10s"})

    @app.task
    async def seldom() -> None:
        await fake_clock.sleep(20)
        raise ValueError("now and then")

    async with app:
        await fake_clock.advance(300)
        assert app.state == "running"
        assert app.tasks()[0].restarts > 10


async def test_a_task_that_ends_is_done(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    runs: list[int] = []

    @app.task
    async def once() -> None:
        runs.append(1)

    async with app:
        await fake_clock.advance(100)
        assert app.tasks()[0].state == "finished"
    assert runs == [1]


async def test_a_task_without_restart_fails_the_start_or_the_app(fake_clock: FakeClock) -> None:
    app = make(fake_clock)

    @app.task(restart=False)
    async def fragile() -> None:
        await fake_clock.sleep(1)
        raise ValueError("once is enough")

    async with app:
        await fake_clock.advance(2)
        assert app.state == "failed"


async def test_a_task_that_is_not_ready_holds_up_the_start(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    is_ready = anyio.Event()
    app.add(Task("slow", anyio.sleep_forever, ready=is_ready.wait))
    async with anyio.create_task_group() as group:

        async def live() -> None:
            async with app:
                assert is_ready.is_set()

        group.start_soon(live)
        await anyio.wait_all_tasks_blocked()
        assert app.state == "starting"
        assert (await app.health.run("startup")).status == "down"
        is_ready.set()


async def test_a_task_that_ends_before_it_is_ready_stops_the_start(fake_clock: FakeClock) -> None:
    async def ends() -> None:
        pass

    app = make(fake_clock)
    app.add(Task("short", ends, ready=anyio.sleep_forever))
    with pytest.raises(RuntimeError, match="task 'short' ended before it was ready"):
        await app.__aenter__()


async def test_a_task_that_overruns_its_phase_is_cancelled_and_named(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    app.add(Task("endless", anyio.sleep_forever, anyio.lowlevel.checkpoint))
    caught: list[BaseException] = []
    async with anyio.create_task_group() as group:

        async def live() -> None:
            try:
                async with app:
                    pass
            except ExceptionGroup as error:
                caught.append(error)

        group.start_soon(live)
        await fake_clock.advance(25)
    assert isinstance(caught[0], ExceptionGroup)
    assert "stopping task 'endless' did not finish within 17.5 s" in str(caught[0].exceptions[0])
    assert app.state == "stopped"


async def test_intake_stops_before_work_and_work_before_flush(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    ended: list[str] = []

    def task(phase: Any) -> Task:
        stopping = anyio.Event()

        async def run() -> None:
            await stopping.wait()
            await fake_clock.sleep(1)
            ended.append(phase)

        async def stop() -> None:
            stopping.set()

        return Task(phase, run, stop, phase)

    for phase in ("flush", "intake", "work"):
        app.add(task(phase))
    async with anyio.create_task_group() as group:

        async def live() -> None:
            async with app:
                pass

        group.start_soon(live)
        await fake_clock.advance(5)
    assert ended == ["intake", "work", "flush"]


async def test_exporters_send_at_their_interval_and_once_more_at_the_end(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    at: list[float] = []
    began = fake_clock.now()

    async def export(snapshot: object) -> None:
        at.append(fake_clock.now() - began)
        if len(at) == 1:
            raise ConnectionError("collector is away")

    app.add(Exporter("otlp", export, interval=10))
    async with app:
        await fake_clock.advance(25)
        assert at == [10, 20]
        assert app.state == "running"
    assert at == [10, 20, 25]
    text = app.registry.render()
    assert 'corten_exports_total{exporter="otlp",outcome="error"} 1' in text
    assert 'corten_exports_total{exporter="otlp",outcome="success"} 2' in text


def test_waits_grow_to_their_limit_and_half_of_each_is_random() -> None:
    rule = Restarts()
    assert [rule.backoff(failures, 1.0) for failures in (1, 2, 3, 7, 100)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert rule.backoff(3, 0.0) == 1.0


async def test_an_app_that_has_not_started_can_be_stopped_and_has_no_settings(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    app.stop()
    assert app.state == "new"
    with pytest.raises(CortenError):
        app.section("plugins")


@pytest.mark.parametrize(("old", "new"), [("first_wait", "initial_backoff"), ("longest_wait", "max_backoff")])
def test_a_renamed_key_is_refused_with_its_new_name(old: str, new: str) -> None:
    with pytest.raises(SettingsError, match=f'tasks.{old}: this key was renamed.*"{new}"'):
        App("test", autoload=False, config=None, arguments={f"tasks.{old}": "1s"}).load()


@pytest.mark.parametrize("source", ["environment", ".env", "secrets"])
def test_a_renamed_key_is_refused_from_every_source(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    match source:
        case "environment":
            monkeypatch.setenv("CORTEN_TASKS__FIRST_WAIT", "1s")
        case ".env":
            (tmp_path / ".env").write_text("CORTEN_TASKS__FIRST_WAIT=1s\n")
        case _:
            (tmp_path / "tasks__first_wait").write_text("1s")
            monkeypatch.setattr("corten.app.settings.loading.SECRETS", str(tmp_path))
    with pytest.raises(SettingsError, match='tasks.first_wait: this key was renamed.*"initial_backoff"'):
        App("test", autoload=False).load()
