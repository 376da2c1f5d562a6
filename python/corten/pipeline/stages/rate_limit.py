"""RateLimit as a stage of the core."""

from __future__ import annotations

from functools import partial
from typing import Any

from corten import _core
from corten.clock import Clock
from corten.pipeline.form import Form
from corten.pipeline.stages.stage import Compiled, missing_parameter
from corten.policies.rate_limit import RateLimit


def compile_stage(policy: RateLimit, state: Any, clock: Clock) -> Compiled:
    """Tokens are kept, unless limits for each key become one for all or the other way round."""
    kind = _core.TokenBucket if policy.key is None else _core.KeyedTokenBucket
    change = None
    if isinstance(state, kind):
        change = partial(state.replace, policy.rate, policy.burst)
    else:
        state = kind(policy.rate, policy.burst, clock=clock)
    inputs = () if policy.key is None else (("key", policy.key),)
    return Compiled(("rate_limit", state, policy.max_wait), state, change, inputs)


def objection(policy: RateLimit, form: Form, function: str) -> str | None:
    """It must know the parameter that it counts by."""
    return missing_parameter("rate_limit", "counts by", policy.key, form, function)
