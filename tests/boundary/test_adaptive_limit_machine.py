"""An adaptive limit across the boundary: whatever calls do, places are as many as it says, and none is lost."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from corten import _core
from corten.errors import ConcurrencyLimited
from corten.metrics import Registry
from corten.testing import FakeClock

LEAST, MOST, ROOM = 2, 8, 2


class AdaptiveLimitMachine(RuleBasedStateMachine):
    """An adaptive limit, and lists of who runs and who waits."""

    @initialize(algorithm=st.sampled_from(["gradient", "aimd"]))
    def begin(self, algorithm: str) -> None:
        self.clock = FakeClock()
        self.limit = _core.AdaptiveLimit((algorithm, (3, LEAST, MOST, ROOM), (1.25, 0.5, 0.8, 0.05), (5.0, 2.0)))
        self.core = _core.Segment(
            "p",
            self.clock,
            _core.PipelineCounts("p", Registry().core),
            [_core.Stage.adaptive_limit(self.limit, None, (), ())],
            True,
        )
        self.inside: list[_core.Call] = []
        self.queue: list[_core.Call] = []
        self.dropped = self.refused = self.gave_up = 0

    @rule(calls=st.integers(1, 4))
    def arrive(self, calls: int) -> None:
        for _ in range(calls):
            try:
                call = self.core.admit(())
            except ConcurrencyLimited:
                assert len(self.queue) == ROOM
                self.refused += 1
                continue
            if call.action == "queue":
                self.queue.append(call)
            else:
                assert not self.queue
                self.inside.append(call)

    @rule(
        seconds=st.sampled_from([0.0, 0.01, 0.05, 1.0, 9.0]),
        count=st.integers(1, 8),
        how=st.sampled_from(["succeeded", "OSError", "ValueError", "abandon", "drop"]),
    )
    def end(self, seconds: float, count: int, how: str) -> None:
        self.clock.tick(seconds)
        for _ in range(min(count, len(self.inside))):
            before = self.limit.statistics()[6]
            call = self.inside.pop(0)
            if how in ("OSError", "ValueError"):
                assert not call.failed({"OSError": OSError, "ValueError": ValueError}[how]())
            elif how != "drop":
                getattr(call, how)()
            del call
            self.dropped = self.limit.statistics()[6]
            # A success may have been slow; of errors only those count that overload makes.
            assert self.dropped - before == {"OSError": 1, "succeeded": self.dropped - before}.get(how, 0)
            self.grant()

    def grant(self) -> None:
        running = self.limit.statistics()[1]
        while len(self.inside) < running:
            call = self.queue.pop(0)
            assert call.on_grant(lambda: None)
            call.enter()
            self.inside.append(call)

    @rule()
    def give_up(self) -> None:
        if self.queue:
            self.queue.pop().abandon()
            self.gave_up += 1

    @rule(limit=st.floats(allow_nan=True, allow_infinity=True))
    def set_by_hand(self, limit: float) -> None:
        self.limit.set_limit(limit)
        self.grant()

    @rule()
    def reset(self) -> None:
        self.limit.reset()
        self.grant()

    @invariant()
    def same_numbers(self) -> None:
        if not hasattr(self, "limit"):
            return
        limit, running, waiting, latency, idle, probing, dropped, refused, gave_up, *_ = self.limit.statistics()
        assert LEAST <= limit <= MOST
        assert (running, waiting) == (len(self.inside), len(self.queue))
        assert (dropped, refused, gave_up) == (self.dropped, self.refused, self.gave_up)
        assert all(seconds is None or (math.isfinite(seconds) and seconds >= 0) for seconds in (latency, idle))
        if self.queue and not probing:
            assert running >= math.floor(limit)


TestAdaptiveLimit = AdaptiveLimitMachine.TestCase
TestAdaptiveLimit.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
