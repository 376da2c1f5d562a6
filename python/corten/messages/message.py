"""Messages as sources deliver them and handlers may receive them."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message from a source, undecoded."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: float = 0.0
    """When it was produced, in seconds since the epoch; 0 where unknown."""

    @property
    def id(self) -> str:
        """A unique name: the producer's ``id`` header, else topic, partition and offset."""
        for name, value in self.headers:
            if name == "id":
                return value.decode("utf-8", "replace")
        return f"{self.topic}/{self.partition}/{self.offset}"


class Received(msgspec.Struct, Generic[T], frozen=True):
    """A decoded value with its message, for handlers annotated ``Received[Flight]``."""

    value: T
    message: Message
    """Topic, partition, offset, key, headers and time of the message."""
