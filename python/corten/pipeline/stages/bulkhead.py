"""Bulkhead as a stage of the core."""

from __future__ import annotations

from typing import Any

from corten import _core
from corten.clock import Clock
from corten.pipeline.form import Form
from corten.pipeline.stages.stage import Compiled, missing_parameter
from corten.policies.bulkhead import Bulkhead
from corten.policies.callables import resolve_function


def compile_stage(policy: Bulkhead, state: Any, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """Places that are taken stay so, and who waits goes on waiting."""
    bulkhead = state if state is not None else _core.Bulkhead(policy.max_concurrent, policy.max_waiting, policy.ageing)

    def change() -> None:
        bulkhead.set_ageing(policy.ageing)
        bulkhead.resize(policy.max_concurrent, policy.max_waiting)

    priority = policy.priority
    if isinstance(priority, str) and ":" in priority:
        priority = resolve_function("bulkhead", "priority", priority)
    fixed = priority if isinstance(priority, int) else None
    return Compiled(
        ("bulkhead", bulkhead, policy.max_wait, fixed),
        bulkhead,
        None if state is None else change,
        () if isinstance(priority, int) else (("priority", priority),),
    )


def objection(policy: Bulkhead, form: Form, function: str) -> str | None:
    """It must know the parameter that says how urgent a call is."""
    if isinstance(policy.priority, str) and ":" in policy.priority:
        return None
    return missing_parameter("bulkhead", "takes its priority from", policy.priority, form, function)
