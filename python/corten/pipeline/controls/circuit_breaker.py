"""Control of a circuit breaker: state, statistics, and changes by hand."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from corten import _core
from corten.clock import Clock
from corten.events import BreakerChanged, BreakerState, Events
from corten.pipeline.controls.control import Control
from corten.policies.circuit_breaker import BreakerStatistics, CircuitBreaker
from corten.secrets import redact


class BreakerControl(Control):
    """One circuit breaker of a pipeline, from `Pipeline.breakers`.

    It stays valid when the policies change. Each change by hand emits `BreakerChanged` with the reason ``forced by
    hand``; results of calls that began before the change do not count.
    """

    def __init__(self, policy: CircuitBreaker, clock: Clock) -> None:
        self.name = policy.name or ""
        """The name by which pipelines share it; empty: it belongs to one pipeline."""
        self.policy = policy
        """The current settings."""
        self.core = _core.CircuitBreaker(*_numbers(policy), self.name)
        self._clock = clock
        self._events: Events | None = None
        self._pipelines: tuple[str, ...] = ()

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<circuit breaker{name}: {self.state}>"

    @property
    def state(self) -> BreakerState:
        """The state; after ``open_for`` it stays ``open`` until the next call."""
        return self.core.statistics(self._clock.core)[0]

    def force_open(self) -> None:
        """Refuse all calls until the next change by hand."""
        self.core.set("forced_open", self._clock.core)

    def open(self) -> None:
        """Refuse calls for the policy's ``open_for``, then let half-open calls decide."""
        self.core.set("open", self._clock.core)

    def half_open(self) -> None:
        """Let half-open calls decide now."""
        self.core.set("half_open", self._clock.core)

    def close(self) -> None:
        """Admit calls, and begin counting anew."""
        self.core.set("closed", self._clock.core)

    def disable(self) -> None:
        """Admit all calls and count nothing until the next change by hand."""
        self.core.set("disabled", self._clock.core)

    def metrics_only(self) -> None:
        """Admit and count all calls, but never open, until the next change."""
        self.core.set("metrics_only", self._clock.core)

    def reset(self) -> None:
        """Close the breaker, and forget its last failure and growth."""
        self.core.reset(self._clock.core)

    def statistics(self) -> BreakerStatistics:
        """Return the state and the counts."""
        state, failures, window, opened, refused, retry_after, reason, last = self.core.statistics(self._clock.core)
        calls, failed, slow, failure_rate, slow_rate = window
        return BreakerStatistics(
            state,
            failures,
            opened,
            retry_after,
            self.name,
            calls,
            failed,
            slow,
            failure_rate,
            slow_rate,
            refused,
            reason or "",
            redact(last or ""),
        )

    def become(self, policy: CircuitBreaker) -> None:
        """Apply another policy; a window of equal kind and size keeps its calls."""
        self.policy = policy
        self.core.replace(*_numbers(policy))

    def bind(self, events: Events | None, pipeline: str) -> None:
        """Emit changes of state to an App's events, naming the pipeline."""
        if pipeline not in self._pipelines:
            self._pipelines = (*self._pipelines, pipeline)
        self._events = events
        self.core.listen(None if events is None else _listener(weakref.ref(self)))

    def changed(self, before: BreakerState, after: BreakerState, reason: str, failure: str | None) -> None:
        """Emit a change of state."""
        if self._events is not None:
            self._events.emit(
                BreakerChanged(
                    pipeline=", ".join(self._pipelines),
                    breaker=self.name,
                    before=before,
                    after=after,
                    reason=reason,
                    error=redact(failure or ""),
                )
            )


def _listener(control: weakref.ref[BreakerControl]) -> Callable[[BreakerState, BreakerState, str, str | None], None]:
    """Return a listener with a weak reference: the garbage collector can't see the core's references."""

    def changed(before: BreakerState, after: BreakerState, reason: str, failure: str | None) -> None:
        found = control()
        if found is not None:
            found.changed(before, after, reason, failure)

    return changed


def _numbers(policy: CircuitBreaker) -> tuple[_core.BreakerNumbers, _core.BreakerWindow | None]:
    failures, successes, slow_rate, min_calls = policy.needed()
    numbers = (
        failures,
        policy.open_for,
        policy.half_open_calls,
        successes,
        policy.growth,
        policy.max_open_for,
        policy.max_half_open,
        policy.slow_call,
    )
    if not policy.has_rates:
        return numbers, None
    return numbers, (*policy.window_size(), min_calls, policy.failure_rate, slow_rate)
