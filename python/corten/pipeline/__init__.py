"""Policies in order, compiled once and wrapped around callables.

What few programs use is loaded when they first do.
"""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names
from corten.pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from corten.pipeline.blocks.guard import Guard
    from corten.pipeline.controls.adaptive_limit import AdaptiveLimitControl
    from corten.pipeline.controls.bulkhead import BulkheadControl
    from corten.pipeline.controls.cache import CacheControl, SyncCacheControl
    from corten.pipeline.controls.circuit_breaker import BreakerControl
    from corten.pipeline.controls.rate_limit import RateLimitControl
    from corten.pipeline.telemetry.statistics import PipelineStatistics
    from corten.policies.adaptive_limit import AdaptiveLimitStatistics
    from corten.policies.bulkhead import BulkheadStatistics
    from corten.policies.circuit_breaker import BreakerStatistics

__all__ = [
    "AdaptiveLimitControl",
    "AdaptiveLimitStatistics",
    "BreakerControl",
    "BreakerStatistics",
    "BulkheadControl",
    "BulkheadStatistics",
    "CacheControl",
    "Guard",
    "Pipeline",
    "PipelineStatistics",
    "RateLimitControl",
    "SyncCacheControl",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AdaptiveLimitControl": "corten.pipeline.controls.adaptive_limit",
        "AdaptiveLimitStatistics": "corten.policies.adaptive_limit",
        "BreakerControl": "corten.pipeline.controls.circuit_breaker",
        "BreakerStatistics": "corten.policies.circuit_breaker",
        "BulkheadControl": "corten.pipeline.controls.bulkhead",
        "BulkheadStatistics": "corten.policies.bulkhead",
        "CacheControl": "corten.pipeline.controls.cache",
        "Guard": "corten.pipeline.blocks.guard",
        "PipelineStatistics": "corten.pipeline.telemetry.statistics",
        "RateLimitControl": "corten.pipeline.controls.rate_limit",
        "SyncCacheControl": "corten.pipeline.controls.cache",
    },
)
