"""Base of the controls of policies."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec


class Control(ABC):
    """One policy of a running pipeline; kept while policies are replaced."""

    @abstractmethod
    def statistics(self) -> msgspec.Struct:
        """Return the counts and the current state."""

    def quick_statistics(self) -> msgspec.Struct:
        """Return the statistics that are quick to count, for scrapes of metrics."""
        return self.statistics()
