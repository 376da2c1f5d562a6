"""Retry as a stage of the core."""

from __future__ import annotations

from typing import Any

from corten.clock import Clock
from corten.pipeline.form import Form
from corten.pipeline.stages.stage import Compiled
from corten.policies.exceptions import resolve
from corten.policies.retry import Retry


def compile_stage(policy: Retry, state: Any, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """A retry keeps nothing between calls."""
    numbers = (policy.max_attempts, policy.wait, policy.backoff, policy.max_wait, policy.jitter, policy.max_time)
    return Compiled(("retry", numbers, resolve(policy.on), resolve(policy.ignore)))


def objection(policy: Retry, form: Form, function: str) -> str | None:  # noqa: ARG001 - as every stage
    """It guards whatever can be called."""
    return None
