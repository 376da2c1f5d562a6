"""A message as it came from a source, before anybody understood it."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message from a source, undecoded."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: float = 0.0
    """When it was produced, in seconds since the epoch; 0 where nobody said."""

    @property
    def id(self) -> str:
        """What tells this message from all others: the producer's ``id`` header, else topic, partition and offset."""
        for name, value in self.headers:
            if name == "id":
                return value.decode("utf-8", "replace")
        return f"{self.topic}/{self.partition}/{self.offset}"
