"""Which policies become stages of the core; the module of each is loaded when first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, cast

from corten.policies.adaptive_limit import AdaptiveLimit
from corten.policies.bulkhead import Bulkhead
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.fallback import Fallback
from corten.policies.rate_limit import RateLimit
from corten.policies.retry import Retry
from corten.policies.timeout import Timeout

if TYPE_CHECKING:
    from corten.pipeline.stages.stage import StageCompiler


def _compiler(kind: str) -> StageCompiler:
    return cast("StageCompiler", import_module(f"corten.pipeline.stages.{kind}"))


STAGES: Mapping[type, Callable[[], StageCompiler]] = {
    policy: partial(_compiler, policy.kind)
    for policy in (AdaptiveLimit, Bulkhead, CircuitBreaker, Fallback, RateLimit, Retry, Timeout)
}
"""Loads the compiler of each policy: the module of this room with the name of the policy's kind."""
