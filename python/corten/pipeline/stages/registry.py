"""Which module compiles which policy; loaded when first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from corten.policies.adaptive_limit import AdaptiveLimit
from corten.policies.bulkhead import Bulkhead
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.fallback import Fallback
from corten.policies.rate_limit import RateLimit
from corten.policies.retry import Retry
from corten.policies.timeout import Timeout

if TYPE_CHECKING:
    from corten.pipeline.stages.stage import StageCompiler


def _adaptive_limit() -> StageCompiler:
    from corten.pipeline.stages import adaptive_limit

    return adaptive_limit


def _bulkhead() -> StageCompiler:
    from corten.pipeline.stages import bulkhead

    return bulkhead


def _circuit_breaker() -> StageCompiler:
    from corten.pipeline.stages import circuit_breaker

    return circuit_breaker


def _fallback() -> StageCompiler:
    from corten.pipeline.stages import fallback

    return fallback


def _rate_limit() -> StageCompiler:
    from corten.pipeline.stages import rate_limit

    return rate_limit


def _retry() -> StageCompiler:
    from corten.pipeline.stages import retry

    return retry


def _timeout() -> StageCompiler:
    from corten.pipeline.stages import timeout

    return timeout


STAGES: Mapping[type, Callable[[], StageCompiler]] = {
    AdaptiveLimit: _adaptive_limit,
    Bulkhead: _bulkhead,
    CircuitBreaker: _circuit_breaker,
    Fallback: _fallback,
    RateLimit: _rate_limit,
    Retry: _retry,
    Timeout: _timeout,
}
"""What compiles each policy, once it is called."""
