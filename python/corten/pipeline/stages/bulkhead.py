"""Bulkhead as a stage of the core."""

from __future__ import annotations

from functools import partial

from corten._core import Stage
from corten.clock import Clock
from corten.pipeline.controls.bulkhead import BulkheadControl
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.stages.stage import Compiled, missing_parameter
from corten.policies.bulkhead import Bulkhead
from corten.policies.fields.callables import resolve_function


def compile_stage(policy: Bulkhead, state: BulkheadControl | None, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """Keep the places that calls hold, and the queue."""
    change = None if state is None else partial(state.become, policy)
    bulkhead = state if state is not None else BulkheadControl(policy)
    priority = policy.priority
    if isinstance(priority, str) and ":" in priority:
        priority = resolve_function("bulkhead", "priority", priority)
    fixed = priority if isinstance(priority, int) else None
    return Compiled(
        policy,
        Stage.bulkhead(bulkhead.core, policy.max_wait, fixed),
        bulkhead,
        change,
        () if isinstance(priority, int) else (("priority", priority),),
    )


def objection(policy: Bulkhead, signature: FunctionSignature, function: str) -> str | None:
    """Object where the priority names a parameter that the function lacks."""
    if isinstance(policy.priority, str) and ":" in policy.priority:
        return None
    return missing_parameter("bulkhead", "takes its priority from", policy.priority, signature, function)
