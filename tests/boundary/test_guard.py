"""Blocks and iterations under a pipeline, against a naive model: no place, trial or count is ever lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from corten.errors import BulkheadFull, ChaosError, CircuitOpen
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.blocks.guard import Guard
from corten.policies import Bulkhead, Chaos, CircuitBreaker
from corten.testing import FakeClock

PLACES, FAILURES, WAIT = 3, 2, 10.0


def step(awaited: Any) -> Any:
    """Run something to its end that never waits."""
    driven: Generator[Any, Any, Any] = awaited.__await__()
    try:
        driven.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class Spans(RuleBasedStateMachine):
    """Blocks and iterations begin and end in any order: well, badly, cancelled, closed, dropped, harmed."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.pipeline = Pipeline(
            "p",
            CircuitBreaker(failures=FAILURES, open_for=WAIT, max_half_open=1e6),
            Bulkhead(PLACES),
            Chaos(1),
            clock=self.clock,
            registry=Registry(),
        )

        @self.pipeline
        async def items() -> AsyncGenerator[int, None]:
            while True:
                yield 1

        self.items = items
        self.open: list[tuple[Any, int]] = []
        """Blocks and iterations, each with the number of changes of the breaker before it."""
        self.row, self.changes = 0, 0
        self.opened_at: float | None = None
        self.counts = {"success": 0, "error": 0, "cancelled": 0, "refused": 0}
        self.trial: Any = None

    # -- the naive breaker

    def state(self) -> str:
        if self.opened_at is None:
            return "closed"
        return "open" if self.clock.now() < self.opened_at + WAIT else "half_open"

    def admitted(self) -> str | None:
        """Why a span can't begin; None: it can."""
        if self.state() == "open" or (self.state() == "half_open" and self.trial is not None):
            return "open"
        return "full" if len(self.open) == PLACES else None

    def began(self, span: Any) -> None:
        if self.state() == "half_open":
            self.changes += self.trial is None and self.opened_at is not None
            self.trial = span
        self.open.append((span, self.changes))

    def ended(self, span: Any, changes: int, how: str) -> None:
        self.counts[how] += 1
        if self.trial is span:
            self.trial = None
            if how == "success":
                self.opened_at, self.row, self.changes = None, 0, self.changes + 1
            elif how == "error":
                self.opened_at, self.changes = self.clock.now(), self.changes + 1
        elif changes == self.changes and self.opened_at is None:
            if how == "success":
                self.row = 0
            elif how == "error":
                self.row += 1
                if self.row == FAILURES:
                    self.opened_at, self.changes = self.clock.now(), self.changes + 1

    # -- what happens

    def begin(self, kind: str) -> None:
        why = self.admitted()
        span: Any = self.items() if kind == "iteration" else self.pipeline.guard()
        try:
            if kind == "iteration":
                step(anext(span))
            elif kind == "block":
                step(span.__aenter__())
            else:
                span.__enter__()
        except CircuitOpen:
            assert why == "open"
            self.counts["refused"] += 1
        except BulkheadFull:
            assert why == "full"
            self.counts["refused"] += 1
        else:
            assert why is None
            self.began(span)

    @rule(kind=st.sampled_from(["iteration", "block", "plain block"]))
    def a_span_begins(self, kind: str) -> None:
        self.begin(kind)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 99), how=st.sampled_from(["success", "error", "cancelled"]))
    def a_span_ends(self, which: int, how: str) -> None:
        span, changes = self.open.pop(which % len(self.open))
        error: BaseException | None = {"success": None, "error": OSError(), "cancelled": KeyboardInterrupt()}[how]
        if isinstance(span, Guard):
            leave = span.__exit__(None if error is None else type(error), error, None)  # type: ignore[func-returns-value]
            assert leave is None
        elif error is None:
            step(span.aclose())
        else:
            with pytest.raises(type(error)) as raised:
                step(span.athrow(error))
            assert raised.value is error
        self.ended(span, changes, how)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 99))
    def a_span_is_dropped(self, which: int) -> None:
        span, changes = self.open.pop(which % len(self.open))
        how = "cancelled" if isinstance(span, Guard) else "success"  # a generator that is dropped is closed
        self.ended(span, changes, how)
        del span

    @precondition(lambda self: self.state() == "closed" and len(self.open) < PLACES)
    @rule(kind=st.sampled_from(["iteration", "block", "plain block"]))
    def a_span_is_harmed(self, kind: str) -> None:
        self.pipeline.allow_chaos()
        try:
            self.begin(kind)
        except ChaosError:
            span = object()
            self.began(span)
            _, changes = self.open.pop()
            self.ended(span, changes, "error")
        else:
            raise AssertionError("it was not harmed")
        finally:
            self.pipeline.allow_chaos(False)

    @rule(seconds=st.sampled_from([1.0, WAIT]))
    def time_passes(self, seconds: float) -> None:
        self.clock.tick(seconds)

    @rule()
    def the_same_policies_come_again(self) -> None:
        self.pipeline.configure(self.pipeline.policies)

    # -- what is always true

    @invariant()
    def nothing_is_lost(self) -> None:
        seen = self.pipeline.statistics()
        assert seen.bulkheads[0].running == len(self.open)
        assert (seen.successes, seen.errors, seen.cancelled, sum(seen.refused.values())) == tuple(self.counts.values())
        state = seen.breakers[0].state
        # It goes half open only when somebody asks it.
        assert state == self.state() or (state == "open" and self.state() == "half_open" and self.trial is None)

    def teardown(self) -> None:
        self.open.clear()
        self.trial = None


TestSpans = Spans.TestCase
TestSpans.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
