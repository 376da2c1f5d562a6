"""Fallback as a stage of the core, which decides when to fall back."""

from __future__ import annotations

import inspect
from typing import Any

from corten._core import Stage
from corten.clock import Clock
from corten.pipeline.functions.signature import FunctionSignature, name_of
from corten.pipeline.segments.fallbacks import takes_arguments
from corten.pipeline.stages.stage import Compiled
from corten.policies.fallback import Fallback
from corten.policies.fields.callables import resolve_function
from corten.policies.fields.exceptions import resolve

_KINDS = inspect.Parameter


def compile_stage(policy: Fallback, state: Any, clock: Clock) -> Compiled:  # noqa: ARG001 - as every stage
    """Keep nothing: last good results belong to each function."""
    predicate = None if policy.predicate is None else resolve_function("fallback", "predicate", policy.predicate)
    return Compiled(policy, Stage.fallback(resolve(policy.on), resolve(policy.ignore), predicate))


def objection(policy: Fallback, signature: FunctionSignature, function: str) -> str | None:
    """Object to arguments that the fallback can't take, and to async fallbacks of sync functions."""
    if policy.call is None:
        return None
    call = resolve_function("fallback", "call", policy.call)
    if signature.flavor == "sync" and inspect.iscoroutinefunction(call):
        return f"the fallback {name_of(call)} is async, and {function} is a sync function"
    if signature.inspected is None or not takes_arguments(call):
        return None
    parameters = signature.inspected.parameters.values()
    positional = [each for each in parameters if each.kind in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD)]
    try:
        inspect.signature(call).bind(
            None, *positional, **{each.name: each for each in parameters if each.kind is _KINDS.KEYWORD_ONLY}
        )
    except TypeError as error:
        return (
            f"the fallback {name_of(call)} can't be called with an error and the arguments of {function}: {error}; "
            "it must take the error alone, or the same arguments after it"
        )
    return None
