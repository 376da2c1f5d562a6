"""Instruments and the registry that aggregates them."""

from corten._core import BoundCounter, BoundGauge, BoundHistogram, Counter, Gauge, Histogram, Timer
from corten.metrics.merging import merge
from corten.metrics.openmetrics import CONTENT_TYPE, render
from corten.metrics.registry import DEFAULT_MAX_SERIES, DEFAULT_SECONDS, Registry, RegistryStatistics, default_registry
from corten.metrics.snapshot import (
    Attributes,
    Collector,
    HistogramPoint,
    Instrument,
    Kind,
    Measurement,
    Series,
    Snapshot,
)

__all__ = [
    "CONTENT_TYPE",
    "DEFAULT_MAX_SERIES",
    "DEFAULT_SECONDS",
    "Attributes",
    "BoundCounter",
    "BoundGauge",
    "BoundHistogram",
    "Collector",
    "Counter",
    "Gauge",
    "Histogram",
    "HistogramPoint",
    "Instrument",
    "Kind",
    "Measurement",
    "Registry",
    "RegistryStatistics",
    "Series",
    "Snapshot",
    "Timer",
    "default_registry",
    "merge",
    "render",
]
