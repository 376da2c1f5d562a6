"""RateLimit as a stage of the core."""

from __future__ import annotations

from functools import partial
from typing import Any

from corten._core import Stage
from corten.clock import Clock
from corten.pipeline.controls.rate_limit import RateLimitControl
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.stages.stage import Compiled, Input, missing_parameter
from corten.policies.fields.callables import resolve_function
from corten.policies.rate_limit import RateLimit
from corten.rate_limit import KeyedLimiter, Limiter
from corten.rate_limit.algorithms import new_keyed_limiter, new_limiter


def compile_stage(policy: RateLimit, state: RateLimitControl | None, clock: Clock) -> Compiled:
    """Keep the limiter, unless the algorithm or the number of keys changes."""
    control, change = _control(policy, state, clock)
    inputs: list[tuple[str, Input]] = []
    if policy.key is not None:
        inputs.append(("key", input_of("key", policy.key)))
    cost = policy.cost if isinstance(policy.cost, int) else None
    if not isinstance(policy.cost, int):
        inputs.append(("cost", input_of("cost", policy.cost)))
    stage = Stage.rate_limit(control.limiter, policy.max_wait, cost)
    return Compiled(policy, stage, control, change, tuple(inputs))


def _control(policy: RateLimit, state: RateLimitControl | None, clock: Clock) -> tuple[RateLimitControl, Any]:
    """Return the kept limit with the change to apply, or a new limit."""
    new: Limiter | KeyedLimiter
    if policy.key is None:
        new = new_limiter(policy.algorithm, policy.rate, policy.holds(), clock)
    else:
        new = new_keyed_limiter(policy.algorithm, policy.rate, policy.holds(), policy.max_keys, clock)
    old = None if state is None else state.limiter
    if state is not None and type(old) is type(new) and getattr(old, "capacity", 0) == getattr(new, "capacity", 0):
        return state, partial(state.limiter.replace, policy.rate, policy.holds())
    return RateLimitControl(new), None


def input_of(field: str, value: Any) -> Input:
    """Return a parameter's name, or the function of a dotted name."""
    if isinstance(value, str) and ":" not in value:
        return value
    return resolve_function("rate_limit", field, value)


def objection(policy: RateLimit, signature: FunctionSignature, function: str) -> str | None:
    """Object to a key or cost that is no parameter of the function."""
    for what, name in (("counts by", policy.key), ("takes as its cost", policy.cost)):
        if isinstance(name, str) and ":" not in name:
            wrong = missing_parameter("rate_limit", what, name, signature, function)
            if wrong is not None:
                return wrong
    return None
