"""A dead letter: an operation or message that failed for good, kept with its cause."""

from __future__ import annotations

import msgspec


class DeadLetter(msgspec.Struct, frozen=True):
    """What failed for good, where it came from and why."""

    id: str
    """The message's own id, so that storing it twice keeps one."""
    source: str
    """The consumer or pipeline that gave up."""
    topic: str
    value: bytes
    cause: str
    """The error's type: ``ValidationError``."""
    reason: str
    """The error's words."""
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = 0
    offset: int = 0
    attempts: int = 1
    failed_at: float = 0.0
    """Wall-clock time of the failure, in seconds since the epoch."""
    replayed_at: float | None = None
    """When it was sent again; None while it waits."""
