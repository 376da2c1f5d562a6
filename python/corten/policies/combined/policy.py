"""Policy: the union of all policies, which settings decode by ``policy``."""

from __future__ import annotations

from corten.policies.adaptive_limit import AdaptiveLimit
from corten.policies.bulkhead import Bulkhead
from corten.policies.cache import Cache
from corten.policies.chaos import Chaos
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.fallback import Fallback
from corten.policies.hedge import Hedge
from corten.policies.middleware import Middleware
from corten.policies.rate_limit import RateLimit
from corten.policies.retry import Retry
from corten.policies.timeout import Timeout

Policy = (
    AdaptiveLimit
    | Bulkhead
    | Cache
    | Chaos
    | CircuitBreaker
    | Middleware
    | Fallback
    | Hedge
    | RateLimit
    | Retry
    | Timeout
)  # fmt: skip
