"""Policies in order, compiled once and wrapped around callables.

What few programs use is loaded when they first do.
"""

from typing import TYPE_CHECKING

from corten.pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from corten.pipeline.controls.circuit_breaker import BreakerControl
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


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'corten.pipeline' has no attribute {name!r}")
    from importlib import import_module

    room = "controls.circuit_breaker" if name == "BreakerControl" else "statistics"
    value: object = getattr(import_module(f"corten.pipeline.{room}"), name)
    globals()[name] = value  # the next time it is found without asking here
    return value


def __dir__() -> list[str]:
    return __all__
