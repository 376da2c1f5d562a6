"""Breakers that pipelines share by name: one for each name in an App, or in the process for pipelines of no App."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from corten.clock import Clock
from corten.pipeline.controls.circuit_breaker import BreakerControl
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.policy import Policy


class NamedBreakers:
    """The breakers of one App by name; each lives as long as a pipeline that has it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Times of one clock mean nothing to another: tests have many.
        self._shared: weakref.WeakKeyDictionary[Clock, weakref.WeakValueDictionary[str, BreakerControl]] = (
            weakref.WeakKeyDictionary()
        )

    def find(self, policy: CircuitBreaker, pipeline: str, clock: Clock, kept: BreakerControl | None) -> BreakerControl:
        """The breaker of the policy's name, or the one that was kept, or a new one.

        A pipeline that has the breaker already may change its settings, for all that have it.

        :param kept: what the pipeline had in its place so far
        :raises ValueError: the pipeline has it not yet, and it has other settings
        """
        if policy.name is None:
            return kept if kept is not None and not kept.name else BreakerControl(policy, clock)
        found = self._named(policy, policy.name, clock)
        if found is not kept and found.policy != policy:
            # It may be of a pipeline that nobody can reach any more.
            del found
            gc.collect()
            found = self._named(policy, policy.name, clock)
        if found is not kept and found.policy != policy:
            raise ValueError(
                f"pipeline {pipeline!r}: circuit_breaker {policy.name!r} has {_difference(policy, found.policy)} in "
                "another pipeline; breakers of one name are one, and need the same settings"
            )
        return found

    def _named(self, policy: CircuitBreaker, name: str, clock: Clock) -> BreakerControl:
        with self._lock:
            shared = self._shared.setdefault(clock, weakref.WeakValueDictionary())
            found = shared.get(name)
            if found is None:
                found = shared[name] = BreakerControl(policy, clock)
            return found


def contradictions(policies: Mapping[str, Sequence[Policy]]) -> Iterator[tuple[str, str]]:
    """Pipelines with breakers that have other settings than those of the same name before, and what is different."""
    first: dict[str, tuple[str, CircuitBreaker]] = {}
    for pipeline, each in policies.items():
        for policy in each:
            if isinstance(policy, CircuitBreaker) and policy.name is not None:
                other, said = first.setdefault(policy.name, (pipeline, policy))
                if policy != said:
                    difference = f"{_difference(policy, said)} in pipeline {other!r}"
                    yield pipeline, f"circuit_breaker {policy.name!r} has {difference}; it is one breaker"


def _difference(ours: CircuitBreaker, theirs: CircuitBreaker) -> str:
    fields = (field.name for field in msgspec.structs.fields(CircuitBreaker))
    return ", ".join(
        f"{field}={getattr(ours, field)!r} here and {getattr(theirs, field)!r}"
        for field in fields
        if getattr(ours, field) != getattr(theirs, field)
    )
