"""Publishing: the interface that brokers' plugins offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec


class OutgoingMessage(msgspec.Struct, frozen=True, gc=False):
    """A message to be published, encoded."""

    topic: str
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Publisher(Protocol):
    """Publishes, and returns only when the broker has acknowledged."""

    async def send(
        self, topic: str, value: bytes, *, key: bytes | None = None, headers: Mapping[str, bytes] | None = None
    ) -> None:
        """Publish one message and wait for its acknowledgement.

        :raises MessageError: the broker refused the message for good
        :raises ResourceUnavailable: the broker did not acknowledge in time
        """
        ...

    async def send_many(self, messages: Iterable[OutgoingMessage]) -> int:
        """Publish messages, wait for every acknowledgement, and return their number.

        The input may be endless: memory is bounded.
        """
        ...
