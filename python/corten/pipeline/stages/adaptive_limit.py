"""AdaptiveLimit as a stage of the core."""

from __future__ import annotations

from functools import partial

from corten import _core
from corten.clock import Clock
from corten.pipeline.controls.adaptive_limit import AdaptiveLimitControl
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.stages.stage import Compiled
from corten.policies.adaptive_limit import AdaptiveLimit
from corten.policies.fields.exceptions import resolve


def compile_stage(policy: AdaptiveLimit, state: AdaptiveLimitControl | None, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """Keep the limit and its learned values as far as the policy allows."""
    numbers = (
        policy.algorithm,
        (policy.initial, policy.min, policy.max, policy.max_waiting),
        (policy.tolerance, policy.smoothing, policy.backoff, policy.tolerated_drops),
        (policy.slow_call, policy.probe_every),
    )
    change = None if state is None else partial(state.core.replace, numbers)
    control = state if state is not None else AdaptiveLimitControl(_core.AdaptiveLimit(numbers))
    stage = _core.Stage.adaptive_limit(control.core, policy.max_wait, resolve(policy.on), resolve(policy.ignore))
    return Compiled(policy, stage, control, change)


def objection(policy: AdaptiveLimit, signature: FunctionSignature, function: str) -> str | None:  # noqa: ARG001 - as every stage
    """Return None: it guards every function."""
    return None
