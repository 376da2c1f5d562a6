"""What is told of a call to those who observe it."""

from __future__ import annotations

import msgspec


class CallDetails(msgspec.Struct, frozen=True):
    """What an observer is told of a call through a pipeline."""

    pipeline: str
    function: str
    """The wrapped function's qualified name."""
