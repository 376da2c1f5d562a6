"""A pipeline's adaptive limit, to be looked at and steered while it runs."""

from __future__ import annotations

import math

from corten import _core
from corten.pipeline.controls.control import Control
from corten.policies.adaptive_limit import AdaptiveLimitStatistics


class AdaptiveLimitControl(Control):
    """One adaptive limit of a pipeline; good for as long as the pipeline has it."""

    def __init__(self, core: _core.AdaptiveLimit) -> None:
        self.core = core

    def __repr__(self) -> str:
        seen = self.statistics()
        return f"<adaptive limit: {seen.running} of {seen.limit:.1f} running, {seen.waiting} waiting>"

    def set(self, limit: float) -> None:
        """Go on from another limit, bent to what the policy's ``min`` and ``max`` allow; it moves from there.

        :raises ValueError: no number, or less than one call
        """
        if not (math.isfinite(limit) and limit >= 1):
            raise ValueError(f"adaptive_limit: the limit is {limit!r}; it must be a number of at least 1")
        self.core.set_limit(limit)

    def reset(self) -> None:
        """Begin anew with the policy's ``initial``, and forget what calls took: when the other side is another one."""
        self.core.reset()

    def statistics(self) -> AdaptiveLimitStatistics:
        """How it stands, and what it has seen since it was made."""
        return AdaptiveLimitStatistics(*self.core.statistics())
