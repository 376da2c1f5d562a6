"""RateLimit as a stage of the core."""

from __future__ import annotations

from functools import partial
from typing import Any

from corten.clock import Clock
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.stages.stage import Compiled, Input, missing_parameter
from corten.policies.fields.callables import resolve_function
from corten.policies.rate_limit import RateLimit
from corten.rate_limit.limiters import KeyedLimiter, Limiter, keyed_limiter, limiter


def compile_stage(policy: RateLimit, state: Any, clock: Clock) -> Compiled:
    """What was counted is kept, unless it is counted otherwise from now on."""
    limiter, change = limiter_for(policy, state, clock)
    inputs: list[tuple[str, Input]] = []
    if policy.key is not None:
        inputs.append(("key", input_of("key", policy.key)))
    cost = policy.cost if isinstance(policy.cost, int) else None
    if not isinstance(policy.cost, int):
        inputs.append(("cost", input_of("cost", policy.cost)))
    return Compiled(("rate_limit", limiter, policy.max_wait, cost), limiter, change, tuple(inputs))


def limiter_for(policy: RateLimit, state: Any, clock: Clock) -> tuple[Limiter | KeyedLimiter, Any]:
    """The limiter of a policy: the one that its predecessor kept, with what is to be done to it, or a new one."""
    new: Limiter | KeyedLimiter
    if policy.key is None:
        new = limiter(policy.algorithm, policy.rate, policy.holds(), clock)
    else:
        new = keyed_limiter(policy.algorithm, policy.rate, policy.holds(), policy.max_keys, clock)
    if type(state) is type(new) and getattr(state, "capacity", 0) == getattr(new, "capacity", 0):
        return state, partial(state.replace, policy.rate, policy.holds())
    return new, None


def input_of(field: str, value: Any) -> Input:
    """A parameter's name as it is; a function, also where it is named."""
    if isinstance(value, str) and ":" not in value:
        return value
    return resolve_function("rate_limit", field, value)


def objection(policy: RateLimit, signature: FunctionSignature, function: str) -> str | None:
    """It must know the parameters that it counts by."""
    for what, name in (("counts by", policy.key), ("takes as its cost", policy.cost)):
        if isinstance(name, str) and ":" not in name:
            wrong = missing_parameter("rate_limit", what, name, signature, function)
            if wrong is not None:
                return wrong
    return None
