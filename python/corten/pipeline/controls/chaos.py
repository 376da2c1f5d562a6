"""The chaos of a pipeline, to count what it did."""

from __future__ import annotations

from corten import _core
from corten.pipeline.controls.control import Control
from corten.policies.chaos import ChaosStatistics


class ChaosControl(Control):
    """One chaos policy of a pipeline."""

    def __init__(self, core: _core.Chaos) -> None:
        self.core = core

    def statistics(self) -> ChaosStatistics:
        """Return its counts since it was made."""
        return ChaosStatistics(*self.core.statistics())
