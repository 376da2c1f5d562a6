"""The resilience rules as frozen data."""

from corten.policies.adaptive_limit import AdaptiveLimit
from corten.policies.bulkhead import Bulkhead
from corten.policies.cache import Cache
from corten.policies.chaos import Chaos
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.combined.policy import Policy
from corten.policies.combined.profiles import PROFILES, profile
from corten.policies.fallback import Fallback
from corten.policies.fields.idempotence import not_idempotent
from corten.policies.hedge import Hedge, HedgeStatistics
from corten.policies.middleware import CallNext, Middleware, MiddlewareDetails
from corten.policies.rate_limit import RateLimit
from corten.policies.retry import Retry
from corten.policies.retry_budget import RetryBudget, RetryBudgetStatistics
from corten.policies.timeout import Timeout

__all__ = [
    "PROFILES",
    "AdaptiveLimit",
    "Bulkhead",
    "Cache",
    "CallNext",
    "Chaos",
    "CircuitBreaker",
    "Fallback",
    "Hedge",
    "HedgeStatistics",
    "Middleware",
    "MiddlewareDetails",
    "Policy",
    "RateLimit",
    "Retry",
    "RetryBudget",
    "RetryBudgetStatistics",
    "Timeout",
    "not_idempotent",
    "profile",
]
