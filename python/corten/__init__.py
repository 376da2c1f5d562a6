"""The service chassis for async Python."""

from corten.app import App
from corten.pipeline import Pipeline
from corten.policies import Bulkhead, Cache, CircuitBreaker, RateLimit, Retry, Timeout

__all__ = ["App", "Bulkhead", "Cache", "CircuitBreaker", "Pipeline", "RateLimit", "Retry", "Timeout"]
