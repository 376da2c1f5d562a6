"""Stands in for what is on its way; to be removed."""

from __future__ import annotations

from typing import Any

__all__ = ["Consumer", "MemoryDeadLetterStore"]

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
