"""Base of the controls of policies."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec


class Control(ABC):
    """One policy of a running pipeline: its state, kept while policies are replaced, and its statistics."""

    @abstractmethod
    def statistics(self) -> msgspec.Struct:
        """Return its counts and its state now."""

    def quick_statistics(self) -> msgspec.Struct:
        """Return the statistics without what takes long to count; metrics read them at each scrape."""
        return self.statistics()
