"""Policies in order, compiled once and wrapped around callables."""

from corten.pipeline.controls.circuit_breaker import BreakerControl
from corten.pipeline.pipeline import Pipeline
from corten.pipeline.statistics import (
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
