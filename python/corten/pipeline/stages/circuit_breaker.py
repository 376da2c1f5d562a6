"""CircuitBreaker as a stage of the core."""

from __future__ import annotations

from functools import partial

from corten.clock import Clock
from corten.pipeline.controls.circuit_breaker import BreakerControl
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.stages.stage import Compiled
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.fields.callables import resolve_function
from corten.policies.fields.exceptions import resolve


def compile_stage(policy: CircuitBreaker, state: BreakerControl | None, clock: Clock) -> Compiled:
    """State and counts are kept, and what is in the window where that is of the same kind and size."""
    change = None if state is None else partial(state.become, policy)
    breaker = state if state is not None else BreakerControl(policy, clock)
    predicate = policy.predicate
    if predicate is not None:
        predicate = resolve_function("circuit_breaker", "predicate", predicate)
    on, ignore = resolve(policy.on), resolve(policy.ignore)
    stage = ("circuit_breaker", breaker.core, on, ignore, predicate, None, policy.slow_call is not None)
    return Compiled(stage, breaker, change)


def objection(policy: CircuitBreaker, signature: FunctionSignature, function: str) -> str | None:  # noqa: ARG001 - as every stage
    """It guards whatever can be called."""
    return None
