"""Control of an adaptive limit: its statistics, and changes by hand."""

from __future__ import annotations

import math

from corten import _core
from corten.pipeline.controls.control import Control
from corten.policies.adaptive_limit import AdaptiveLimitStatistics


class AdaptiveLimitControl(Control):
    """One adaptive limit of a pipeline."""

    def __init__(self, core: _core.AdaptiveLimit) -> None:
        self.core = core

    def __repr__(self) -> str:
        seen = self.statistics()
        return f"<adaptive limit: {seen.running} of {seen.limit:.1f} running, {seen.waiting} waiting>"

    def set(self, limit: float) -> None:
        """Set the limit, within ``min`` and ``max``; it adapts from there.

        :raises ValueError: the limit is not a number of at least 1
        """
        if not (math.isfinite(limit) and limit >= 1):
            raise ValueError(f"adaptive_limit: the limit is {limit!r}; it must be a number of at least 1")
        self.core.set_limit(limit)

    def reset(self) -> None:
        """Begin anew with ``initial``, and forget latencies: for another server."""
        self.core.reset()

    def statistics(self) -> AdaptiveLimitStatistics:
        """Return the current limit and calls, and the counts."""
        return AdaptiveLimitStatistics(*self.core.statistics())
