"""CircuitBreaker as a stage of the core."""

from __future__ import annotations

from functools import partial

from corten._core import Stage
from corten.clock import Clock
from corten.pipeline.controls.circuit_breaker import BreakerControl
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.stages.stage import Compiled
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.fields.callables import resolve_function
from corten.policies.fields.exceptions import resolve


def compile_stage(policy: CircuitBreaker, state: BreakerControl | None, clock: Clock) -> Compiled:
    """Keep state and counts, and the window if its size stays."""
    change = None if state is None else partial(state.become, policy)
    breaker = state if state is not None else BreakerControl(policy, clock)
    predicate = policy.predicate
    if predicate is not None:
        predicate = resolve_function("circuit_breaker", "predicate", predicate)
    on, ignore = resolve(policy.on), resolve(policy.ignore)
    stage = Stage.circuit_breaker(breaker.core, on, ignore, predicate, policy.slow_call is not None)
    return Compiled(policy, stage, breaker, change)


def objection(policy: CircuitBreaker, signature: FunctionSignature, function: str) -> str | None:  # noqa: ARG001 - as every stage
    """Return None: it guards every function."""
    return None
