"""Stands in for what is on its way; to be removed."""

# ruff: noqa: ARG002
from __future__ import annotations

from typing import Any

__all__ = ["Consumer", "MemoryDeadLetterStore", "Registry"]

try:
    from corten.metrics import Registry  # type: ignore[attr-defined,unused-ignore]
except ImportError:

    class Registry:  # type: ignore[no-redef]
        """Counts nothing."""

        def __init__(self, clock: Any = None, max_series: int = 1000) -> None:
            self.collectors: list[Any] = []

        def counter(self, *args: Any, **kwargs: Any) -> Any:
            """A counter."""

            class Counter:
                def add(self, amount: int = 1, **attributes: Any) -> None:
                    """Count."""

                def bind(self, **attributes: Any) -> Any:
                    """A series."""
                    return self

            return Counter()

        gauge = histogram = counter

        def add_collector(self, collector: Any) -> None:
            """Keep it."""
            self.collectors.append(collector)

        def snapshot(self) -> Any:
            """Nothing."""
            from corten.metrics.snapshot import Snapshot

            return Snapshot((), 0.0, 0.0)

        def render(self) -> str:
            """Nothing."""
            return "# EOF\n"


try:
    from corten.dead_letters import MemoryDeadLetterStore  # type: ignore[attr-defined,unused-ignore]
except ImportError:

    class MemoryDeadLetterStore:  # type: ignore[no-redef]
        """Keeps nothing."""


try:
    from corten.messages import Consumer  # type: ignore[attr-defined,unused-ignore]
except ImportError:

    class Consumer:  # type: ignore[no-redef]
        """Consumes nothing."""

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
