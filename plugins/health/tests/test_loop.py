"""The loop monitor measures lag, and the watchdog names what blocks the loop, once."""

from __future__ import annotations

import logging
import threading

import anyio
import pytest

from corten.testing import FakeClock
from corten_health import HealthSettings, LoopMonitor
from corten_health.loop import INTERVAL, WINDOW, Watchdog, stack_of


class Monotonic:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.anyio
async def test_lag_is_how_late_the_loop_woke_the_monitor_and_the_worst_is_remembered_for_ten_seconds() -> None:
    clock = FakeClock()
    monitor = LoopMonitor(clock)
    async with anyio.create_task_group() as group:
        group.start_soon(monitor.run)
        await clock.advance(INTERVAL)
        assert monitor.statistics().worst == pytest.approx(0.0, abs=1e-6)
        clock.tick(INTERVAL + 3.0)  # time passes while no task may run: the loop is blocked
        await anyio.wait_all_tasks_blocked()
        assert monitor.statistics().lag == pytest.approx(3.0, abs=1e-6)
        found = await monitor.check(HealthSettings()).run()
        assert found is not None
        assert (found.status, found.message) == ("down", "the event loop was 3 s late")
        await clock.advance(INTERVAL)
        assert monitor.statistics().lag == pytest.approx(0.0, abs=1e-6)
        assert monitor.statistics().worst == pytest.approx(3.0, abs=1e-6)
        await clock.advance(WINDOW)
        assert monitor.statistics().worst == pytest.approx(0.0, abs=1e-6)
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_the_watchdogs_thread_ends_with_the_monitor() -> None:
    before = threading.active_count()
    clock = FakeClock()
    async with anyio.create_task_group() as group:
        group.start_soon(LoopMonitor(clock, blocked_after=1.0).run)
        await anyio.wait_all_tasks_blocked()
        assert "corten-watchdog" in {thread.name for thread in threading.enumerate()}
        group.cancel_scope.cancel()
    assert threading.active_count() == before


def test_a_blocked_loop_is_logged_once_with_its_stack_and_once_when_it_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time = Monotonic()
    dog = Watchdog(1.0, monotonic=time)
    dog._watched = threading.get_ident()
    with caplog.at_level(logging.WARNING, "corten.health"):
        for _ in range(8):
            time.now += 0.25
            dog.look()
        assert dog.blocked == 1
        assert "test_a_blocked_loop_is_logged_once" in caplog.text
        dog.beat()
        time.now += 0.25
        dog.look()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the event loop is blocked for 1.25 s by",
        "the event loop runs again after 2 s",
    ]


def test_a_process_that_stood_still_as_a_whole_is_not_taken_for_a_blocked_loop() -> None:
    time = Monotonic()
    dog = Watchdog(1.0, monotonic=time)
    time.now += 60.0
    dog.look()
    assert dog.blocked == 0


def test_the_stack_of_a_thread_that_has_ended_says_so() -> None:
    assert stack_of(-1) == "(the thread has ended)"
