"""Many alarms behind one timer: each at its time, none that was taken back, no more memory than needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.clock import TimerHandle
from corten.pipeline.layers.hedge.alarms import Alarms
from corten.testing import FakeClock


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=150),
    st.lists(st.integers(1, 20), min_size=1, max_size=12),
)
def test_each_goes_off_at_its_time_unless_it_was_taken_back(plan: list[tuple[int, bool]], moves: list[int]) -> None:
    clock = FakeClock()
    alarms = Alarms(clock)
    went_off: list[tuple[int, float]] = []
    set_: list[tuple[int, bool]] = []
    for number, (deadline, back) in enumerate(plan):
        alarm = alarms.set(1000 + deadline, lambda number=number: went_off.append((number, round(clock.now()) - 1000)))  # type: ignore[misc]
        set_.append((deadline, back))
        if back:
            alarms.cancel(alarm)
            alarms.cancel(alarm)
    assert len(alarms) == sum(not back for _, back in set_)
    for seconds in moves:
        clock.tick(seconds)
    expected = [
        (number, deadline) for number, (deadline, back) in enumerate(set_) if not back and deadline <= sum(moves)
    ]
    assert sorted(went_off) == expected
    assert [at for _, at in went_off] == sorted(at for _, at in went_off)


def test_what_is_taken_back_takes_no_room_for_long() -> None:
    alarms = Alarms(FakeClock())
    kept = [alarms.set(1e6, object) for _ in range(10)]
    for _ in range(10_000):
        alarms.cancel(alarms.set(1030, object))
    assert len(alarms) == len(kept)
    assert len(alarms._heap) < 200


def test_one_timer_of_the_loop_is_enough() -> None:
    timers: list[float] = []

    class Counting(FakeClock):
        def call_at(self, deadline: float, callback: object) -> object:  # type: ignore[override]
            timers.append(deadline)
            return super().call_at(deadline, callback)  # type: ignore[arg-type]

    alarms = Alarms(Counting())
    for number in range(1000):
        alarms.cancel(alarms.set(1030 + number, object))
    assert timers == [1030]


def test_where_no_loop_runs_the_next_alarm_tries_again() -> None:
    from corten.clock import Clock

    alarms = Alarms(Clock())
    with pytest.raises(RuntimeError):
        alarms.set(0, object)

    async def main() -> None:
        done = asyncio.Event()
        alarms.set(0, done.set)
        await done.wait()

    asyncio.run(main())


def test_a_loop_whose_clock_runs_faster_loses_none() -> None:
    class Hurried(FakeClock):
        def call_at(self, deadline: float, callback: Callable[[], object]) -> TimerHandle:
            return super().call_at(deadline - 0.01 * (deadline - self.now()), callback)

    clock = Hurried()
    alarms = Alarms(clock)
    went_off: list[float] = []
    for _ in range(3):
        alarms.set(clock.now() + 5, lambda: went_off.append(clock.now()))
        clock.tick(10)
    assert went_off == [pytest.approx(at, abs=1e-6) for at in (1005, 1015, 1025)]
