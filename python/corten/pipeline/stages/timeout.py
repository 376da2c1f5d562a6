"""Timeout as a stage of the core."""

from __future__ import annotations

from typing import Any

from corten._core import Stage
from corten.clock import Clock
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.stages.stage import Compiled
from corten.policies.timeout import Timeout


def compile_stage(policy: Timeout, state: Any, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """Keep nothing between calls."""
    return Compiled(policy, Stage.timeout(policy.seconds))


def objection(policy: Timeout, signature: FunctionSignature, function: str) -> str | None:  # noqa: ARG001 - as every stage
    """Object to a sync function, which cannot be interrupted."""
    if signature.flavor != "sync":
        return None
    return f"{function} is a sync function, which nothing can interrupt: leave the timeout out, or make it async"
