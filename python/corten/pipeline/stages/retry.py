"""Retry as a stage of the core."""

from __future__ import annotations

from typing import Any

from corten import _core
from corten.clock import Clock
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.stages.stage import Compiled
from corten.policies.fields.callables import resolve_function
from corten.policies.fields.exceptions import resolve
from corten.policies.retry import Retry


def compile_stage(policy: Retry, state: Any, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """Keep nothing: the budget belongs to the pipeline."""
    predicate, on_result = (
        None if function is None else resolve_function("retry", field, function)
        for field, function in (("predicate", policy.predicate), ("on_result", policy.on_result))
    )
    stage = _core.Stage.retry(_core_retry(policy), resolve(policy.on), resolve(policy.ignore), predicate, on_result)
    return Compiled(policy, stage)


def _core_retry(policy: Retry) -> _core.Retry:
    attempts, limits, jitter = policy.attempts, (policy.max_backoff, policy.max_time), policy.random_share
    if isinstance(jitter, str):
        return _core.Retry.decorrelated(attempts, limits, policy.initial_backoff)
    if policy.backoffs:
        return _core.Retry.listed(attempts, limits, policy.backoffs, jitter)
    return _core.Retry.growing(attempts, limits, policy.initial_backoff, policy.backoff_multiplier, jitter)


def objection(policy: Retry, signature: FunctionSignature, function: str) -> str | None:  # noqa: ARG001 - as every stage
    """Return None: it guards every function."""
    return None
