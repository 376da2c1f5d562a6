"""CircuitBreaker as a stage of the core."""

from __future__ import annotations

from functools import partial
from typing import Any

from corten import _core
from corten.clock import Clock
from corten.pipeline.form import Form
from corten.pipeline.stages.stage import Compiled
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.exceptions import resolve


def compile_stage(policy: CircuitBreaker, state: Any, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """State and failures in a row are kept."""
    numbers = (policy.failures, policy.wait, policy.trials)
    change = None if state is None else partial(state.replace, *numbers)
    breaker = state if state is not None else _core.CircuitBreaker(*numbers)
    return Compiled(("circuit_breaker", breaker, resolve(policy.on), resolve(policy.ignore)), breaker, change)


def objection(policy: CircuitBreaker, form: Form, function: str) -> str | None:  # noqa: ARG001 - as every stage
    """It guards whatever can be called."""
    return None
