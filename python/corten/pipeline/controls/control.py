"""Base of the controls of policies."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec


class Control(ABC):
    """One policy of a running pipeline; kept while policies are replaced."""

    @abstractmethod
    def statistics(self) -> msgspec.Struct:
        """Return its counts and its state now."""

    def quick_statistics(self) -> msgspec.Struct:
        """Return statistics that are quick to count, for each scrape of metrics."""
        return self.statistics()
