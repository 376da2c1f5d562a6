"""The service chassis for async Python."""

from corten.pipeline import Pipeline
from corten.policies import Bulkhead, Cache, CircuitBreaker, Retry, Timeout

__all__ = ["Bulkhead", "Cache", "CircuitBreaker", "Pipeline", "Retry", "Timeout"]
