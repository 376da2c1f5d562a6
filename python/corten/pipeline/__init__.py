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
        "corten.pipeline.blocks.guard": ("Guard",),
        "corten.pipeline.controls.adaptive_limit": ("AdaptiveLimitControl",),
        "corten.pipeline.controls.bulkhead": ("BulkheadControl",),
        "corten.pipeline.controls.cache": ("CacheControl", "SyncCacheControl"),
        "corten.pipeline.controls.circuit_breaker": ("BreakerControl",),
        "corten.pipeline.controls.rate_limit": ("RateLimitControl",),
        "corten.pipeline.telemetry.statistics": ("PipelineStatistics",),
        "corten.policies.adaptive_limit": ("AdaptiveLimitStatistics",),
        "corten.policies.bulkhead": ("BulkheadStatistics",),
        "corten.policies.circuit_breaker": ("BreakerStatistics",),
    },
)
