"""Control of a chaos policy: its statistics."""

from __future__ import annotations

from corten import _core
from corten.pipeline.controls.control import Control
from corten.policies.chaos import ChaosStatistics


class ChaosControl(Control):
    """One chaos policy of a pipeline."""

    def __init__(self, core: _core.Chaos) -> None:
        self.core = core

    def statistics(self) -> ChaosStatistics:
        """Return the counts of faults."""
        return ChaosStatistics(*self.core.statistics())
