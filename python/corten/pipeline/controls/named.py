"""Breakers and bulkheads that pipelines share by name."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from corten.clock import Clock
from corten.policies.bulkhead import Bulkhead
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.combined.policy import Policy

if TYPE_CHECKING:
    from corten.pipeline.controls.bulkhead import BulkheadControl
    from corten.pipeline.controls.circuit_breaker import BreakerControl

    Control = BreakerControl | BulkheadControl

Shareable = CircuitBreaker | Bulkhead

_OF_EACH_PIPELINE = {"priority", "max_wait"}
"""Fields that may differ between policies of one name."""


class ContradictionError(ValueError):
    """Policies of one name have different settings."""


class NamedControls:
    """Breakers and bulkheads by name, alive while a pipeline has them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer run by the garbage collector may make a pipeline
        # By clock: times of one clock mean nothing to another, and tests have many clocks.
        self._shared: weakref.WeakKeyDictionary[Clock, weakref.WeakValueDictionary[tuple[str, str], Control]] = (
            weakref.WeakKeyDictionary()
        )

    def find(self, policy: Shareable, pipeline: str, clock: Clock, kept: Control | None) -> Control:
        """Return the breaker or bulkhead of a policy, and make it if necessary.

        A pipeline that already has the control may change its settings, for all its pipelines.

        :param kept: the pipeline's control at the policy's position
        :raises ContradictionError: the settings differ, and the pipeline does not have the control yet
        """
        if policy.name is None:
            return kept if kept is not None and not kept.name else _make(policy, clock)
        found = self._named(policy, policy.name, clock)
        if found is not kept and _difference(policy, found.policy):
            # Its last pipeline may be garbage already.
            del found
            gc.collect()
            found = self._named(policy, policy.name, clock)
        if found is not kept and (difference := _difference(policy, found.policy)):
            raise ContradictionError(
                f"pipeline {pipeline!r}: {policy.kind} {policy.name!r} has {difference} in another pipeline; "
                f"{_in_words(policy)}s of one name are one, and need the same settings"
            )
        return found

    def _named(self, policy: Shareable, name: str, clock: Clock) -> Control:
        key = (policy.kind, name)
        with self._lock:
            shared = self._shared.setdefault(clock, weakref.WeakValueDictionary())
            found = shared.get(key)
            if found is None:
                found = shared[key] = _make(policy, clock)
            return found


def contradictions(policies: Mapping[str, Sequence[Policy]]) -> Iterator[tuple[str, str]]:
    """Yield pipelines with a policy that contradicts another one of its name."""
    first: dict[tuple[str, str], tuple[str, Shareable]] = {}
    for pipeline, each in policies.items():
        for policy in each:
            if isinstance(policy, Shareable) and policy.name is not None:
                other, said = first.setdefault((policy.kind, policy.name), (pipeline, policy))
                if difference := _difference(policy, said):
                    difference = f"{difference} in pipeline {other!r}"
                    yield pipeline, f"{policy.kind} {policy.name!r} has {difference}; it is one {_in_words(policy)}"


def _make(policy: Shareable, clock: Clock) -> Control:
    if isinstance(policy, Bulkhead):
        from corten.pipeline.controls.bulkhead import BulkheadControl

        return BulkheadControl(policy)
    from corten.pipeline.controls.circuit_breaker import BreakerControl

    return BreakerControl(policy, clock)


def _in_words(policy: Shareable) -> str:
    return policy.kind.replace("_", " ")


def _difference(ours: Shareable, theirs: Shareable) -> str:
    """Describe fields that must not differ but do; empty without any."""
    fields = (field.name for field in msgspec.structs.fields(ours) if field.name not in _OF_EACH_PIPELINE)
    return ", ".join(
        f"{field}={getattr(ours, field)!r} here and {getattr(theirs, field)!r}"
        for field in fields
        if getattr(ours, field) != getattr(theirs, field)
    )
