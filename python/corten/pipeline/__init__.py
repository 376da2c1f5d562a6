"""Policies in order, compiled once and wrapped around callables.

What few programs use is loaded when they first do.
"""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names
from corten.pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from corten.pipeline.controls.circuit_breaker import BreakerControl
    from corten.pipeline.telemetry.statistics import (
        AdaptiveLimitStatistics,
        BreakerStatistics,
        BulkheadStatistics,
        PipelineStatistics,
    )

__all__ = [
    "AdaptiveLimitStatistics",
    "BreakerControl",
    "BreakerStatistics",
    "BulkheadStatistics",
    "Pipeline",
    "PipelineStatistics",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AdaptiveLimitStatistics": "corten.pipeline.telemetry.statistics",
        "BreakerControl": "corten.pipeline.controls.circuit_breaker",
        "BreakerStatistics": "corten.pipeline.telemetry.statistics",
        "BulkheadStatistics": "corten.pipeline.telemetry.statistics",
        "PipelineStatistics": "corten.pipeline.telemetry.statistics",
    },
)
