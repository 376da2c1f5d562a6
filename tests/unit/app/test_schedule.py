"""Functions at an interval."""

from __future__ import annotations

import anyio
import pytest

from corten.app import App, Schedule
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


def make(clock: FakeClock) -> App[None]:
    return App("test", autoload=False, config=None, clock=clock)


async def test_a_schedule_runs_at_once_and_then_at_each_interval(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    began, at = fake_clock.now(), list[float]()

    @app.every("30s")
    async def tick() -> None:
        at.append(fake_clock.now() - began)

    async with app:
        await fake_clock.advance(95)
    assert at == [0, 30, 60, 90]


async def test_a_schedule_may_wait_an_interval_before_the_first_run(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    began, at = fake_clock.now(), list[float]()

    @app.every(10, at_start=False)
    async def tick() -> None:
        at.append(fake_clock.now() - began)

    async with app:
        await fake_clock.advance(25)
    assert at == [10, 20]


async def test_runs_do_not_overlap_and_the_beat_is_kept(fake_clock: FakeClock) -> None:
    began, at = fake_clock.now(), list[float]()

    async def slow() -> None:
        at.append(fake_clock.now() - began)
        await fake_clock.sleep(25)

    schedule = Schedule("slow", slow, interval=10, clock=fake_clock)
    app = make(fake_clock)
    app.add(schedule.task())
    async with anyio.create_task_group() as group:

        async def live() -> None:
            async with app:
                await fake_clock.sleep(80)

        group.start_soon(live)
        await fake_clock.advance(100)
    assert at == [0, 30, 60]
    statistics = schedule.statistics()
    assert (statistics.runs, statistics.failures) == (3, 0)
    assert statistics.skipped >= 4


async def test_a_failed_run_is_counted_and_the_next_one_follows(fake_clock: FakeClock) -> None:
    async def broken() -> None:
        raise ValueError("broken")

    schedule = Schedule("broken", broken, interval=10, clock=fake_clock)
    app = make(fake_clock)
    app.add(schedule.task())
    async with app:
        await fake_clock.advance(95)
        assert app.state == "running"
    assert schedule.statistics().failures == 10


async def test_the_run_under_way_is_let_finish_at_shutdown(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    ended: list[bool] = []

    @app.every("1m")
    async def slow() -> None:
        await fake_clock.sleep(5)
        ended.append(True)

    async with anyio.create_task_group() as group:

        async def live() -> None:
            async with app:
                await fake_clock.sleep(1)

        group.start_soon(live)
        await fake_clock.advance(10)
    assert ended == [True]
    assert app.state == "stopped"


async def test_jitter_adds_up_to_so_much_and_does_not_add_up(fake_clock: FakeClock) -> None:
    app = make(fake_clock)
    began, at = fake_clock.now(), list[float]()

    @app.every("10s", jitter="2s")
    async def tick() -> None:
        at.append(fake_clock.now() - began)

    async with app:
        await fake_clock.advance(99)
    assert len(at) == 10
    for number, moment in enumerate(at):
        assert 10 * number <= moment <= 10 * number + 2


@pytest.mark.parametrize(("interval", "jitter"), [(0, 0), (-1, 0), (10, 10), (10, -1)])
def test_intervals_that_make_no_sense_are_refused(interval: float, jitter: float, fake_clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="schedule 'x'"):
        Schedule("x", anyio.lowlevel.checkpoint, interval=interval, jitter=jitter, clock=fake_clock)


def test_every_without_an_interval_is_refused_at_once() -> None:
    app = App("a", autoload=False, config=None)
    with pytest.raises(TypeError, match='write @app.every\\("30s"\\)'):

        @app.every  # type: ignore[arg-type]
        async def tick() -> None: ...
