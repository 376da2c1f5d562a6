"""Policies in order, compiled once and wrapped around callables."""

from corten.pipeline.pipeline import Pipeline
from corten.pipeline.statistics import BreakerStatistics, BulkheadStatistics, PipelineStatistics

__all__ = ["BreakerStatistics", "BulkheadStatistics", "Pipeline", "PipelineStatistics"]
