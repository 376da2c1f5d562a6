"""Dead letters: operations or messages that failed for good, with their cause."""

from __future__ import annotations

import msgspec


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that failed for good, with its origin and cause."""

    id: str
    """The message's own id, so that storing it twice keeps one."""
    source: str
    """The consumer or pipeline that gave up."""
    topic: str
    value: bytes
    cause: str
    """The error's type: ``ValidationError``."""
    reason: str
    """The error's text."""
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = 0
    offset: int = 0
    attempts: int = 1
    failed_at: float = 0.0
    """Wall-clock time of the failure, in seconds since the epoch."""
    replayed_at: float | None = None
    """Wall-clock time of the replay; None while the letter waits."""
