"""A bulkhead across the boundary behaves like a counter and a list; threads lose no place."""

from __future__ import annotations

import contextlib
import threading
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from corten import _core
from corten.errors import BulkheadFull
from corten.metrics import Registry
from corten.testing import FakeClock

ROOM = 3


class Waiter(NamedTuple):
    """A call in the queue of the model."""

    call: _core.Call
    woken: list[bool]
    priority: int
    since: float


class BulkheadMachine(RuleBasedStateMachine):
    """A bulkhead with priorities, and a list that is searched."""

    @initialize(ageing=st.sampled_from([None, 2.0]))
    def begin(self, ageing: float | None) -> None:
        self.clock = FakeClock()
        self.places = 2
        self.ageing = ageing
        self.bulkhead = _core.Bulkhead(self.places, ROOM, ageing)
        self.core = _core.Segment(
            "p",
            self.clock,
            _core.PipelineCounts("p", Registry().core),
            [_core.Stage.bulkhead(self.bulkhead, None, None)],
            True,
            [(0, "priority")],
        )
        self.inside: list[_core.Call] = []
        self.queue: list[Waiter] = []
        self.refused = self.displaced = self.gave_up = self.waited = 0

    def worth(self, waiter: Waiter) -> float:
        if self.ageing is None:
            return waiter.priority
        return waiter.priority + (self.clock.now() - waiter.since) / self.ageing

    def in_order(self) -> list[Waiter]:
        return sorted(self.queue, key=self.worth, reverse=True)  # stable: within the same worth who came first

    def grant(self) -> None:
        """As many as there are places for now."""
        while self.queue and len(self.inside) < self.places:
            first = self.in_order()[0]
            self.queue.remove(first)
            assert first.woken == [True]
            first.call.enter()
            assert first.call.action == "proceed"
            self.waited += 1
            self.inside.append(first.call)

    @rule(seconds=st.sampled_from([1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.tick(seconds)

    @rule(priority=st.integers(-2, 2))
    def arrive(self, priority: int) -> None:
        full = len(self.queue) >= ROOM
        try:
            call = self.core.admit((priority,))
        except BulkheadFull:
            assert full
            assert len(self.inside) >= self.places
            self.refused += 1
            return
        if call.action == "proceed":
            assert not self.queue
            self.inside.append(call)
            return
        assert len(self.inside) >= self.places
        woken: list[bool] = []
        assert not call.on_grant(lambda: woken.append(True))
        if full:
            last = self.in_order()[-1]
            self.queue.remove(last)
            assert last.woken == [True]
            assert last.priority < priority
            with pytest.raises(BulkheadFull, match="higher priority took its place"):
                last.call.enter()
            self.displaced += 1
        self.queue.append(Waiter(call, woken, priority, self.clock.now()))

    @rule(which=st.integers(0, 9), how=st.sampled_from(["succeeded", "abandon", "drop"]))
    def leave(self, which: int, how: str) -> None:
        if not self.inside:
            return
        call = self.inside.pop(which % len(self.inside))
        if how != "drop":
            getattr(call, how)()
        del call
        self.grant()

    @rule(which=st.integers(0, 9), how=st.sampled_from(["abandon", "enter"]))
    def give_up(self, which: int, how: str) -> None:
        if not self.queue:
            return
        waiter = self.queue.pop(which % len(self.queue))
        if how == "abandon":
            waiter.call.abandon()
        else:
            with pytest.raises(BulkheadFull, match="no place came free"):
                waiter.call.enter()
        assert waiter.woken == []
        self.gave_up += 1

    @rule(places=st.integers(1, 4))
    def resize(self, places: int) -> None:
        self.places = places
        self.bulkhead.resize(places, ROOM)
        self.grant()

    @invariant()
    def same_numbers(self) -> None:
        if not hasattr(self, "bulkhead"):
            return
        running, waiting, places, room, _, _, *counted = self.bulkhead.statistics()
        assert (running, waiting, places, room) == (len(self.inside), len(self.queue), self.places, ROOM)
        assert counted[:4] == [self.refused, self.displaced, self.gave_up, self.waited]


TestBulkhead = BulkheadMachine.TestCase
TestBulkhead.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_threads_that_wait_give_up_and_crowd_each_other_out_lose_no_place() -> None:
    bulkhead = _core.Bulkhead(3, 2)
    counts = _core.PipelineCounts("p", Registry().core)
    stages = [_core.Stage.bulkhead(bulkhead, None, None)]
    core = _core.Segment("p", FakeClock(), counts, stages, True, [(0, "priority")])
    most = 0

    def hammer(own: int) -> None:
        nonlocal most
        for number in range(3000):
            with contextlib.suppress(BulkheadFull):
                call = core.admit(((own * number) % 3,))
                if call.action == "queue" and number % 2:
                    granted = threading.Event()
                    if not call.on_grant(granted.set):
                        granted.wait(0 if number % 3 else 0.001)
                    call.enter()
                most = max(most, bulkhead.statistics()[0])
                call.abandon()

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    running, waiting, *_ = bulkhead.statistics()
    assert (running, waiting) == (0, 0)
    assert most <= 3
    successes, errors, timeouts, cancelled, _, refused = counts.totals()
    assert successes + errors + timeouts + cancelled + sum(count for _, count in refused) == 4 * 3000
