"""Bulkhead as a stage of the core."""

from __future__ import annotations

from functools import partial
from typing import Any

from corten import _core
from corten.clock import Clock
from corten.pipeline.form import Form
from corten.pipeline.stages.stage import Compiled
from corten.policies.bulkhead import Bulkhead


def compile_stage(policy: Bulkhead, state: Any, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """Places that are taken stay so."""
    size = (policy.max_concurrent, policy.max_waiting)
    change = None if state is None else partial(state.resize, *size)
    bulkhead = state if state is not None else _core.Bulkhead(*size)
    return Compiled(("bulkhead", bulkhead, policy.max_wait), bulkhead, change)


def objection(policy: Bulkhead, form: Form, function: str) -> str | None:  # noqa: ARG001 - as every stage
    """It guards whatever can be called."""
    return None
