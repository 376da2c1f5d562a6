"""Which module compiles which policy: a line for each."""

from __future__ import annotations

from collections.abc import Mapping

from corten.pipeline.stages import adaptive_limit, bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout
from corten.pipeline.stages.stage import StageCompiler
from corten.policies.adaptive_limit import AdaptiveLimit
from corten.policies.bulkhead import Bulkhead
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.fallback import Fallback
from corten.policies.rate_limit import RateLimit
from corten.policies.retry import Retry
from corten.policies.timeout import Timeout

STAGES: Mapping[type, StageCompiler] = {
    AdaptiveLimit: adaptive_limit,
    Bulkhead: bulkhead,
    CircuitBreaker: circuit_breaker,
    Fallback: fallback,
    RateLimit: rate_limit,
    Retry: retry,
    Timeout: timeout,
}
"""What compiles each policy."""
