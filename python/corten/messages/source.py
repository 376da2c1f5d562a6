"""What a broker's plugin gives to Corten: a subscription that hands over batches and commits positions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from corten.messages.message import Message

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""


class Subscription(msgspec.Struct, frozen=True):
    """What a consumer wants from a source."""

    topics: tuple[str, ...]
    group: str
    max_batch: int = 1000
    """The most messages handed over at once."""


class Source(Protocol):
    """An open subscription of one consumer.

    Messages of a partition come in order. A source never commits by itself.
    """

    async def receive(self) -> Sequence[Message]:
        """Wait for messages and take up to ``max_batch`` of them; an empty batch when the source was closed."""
        ...

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Store, for each partition still assigned, the offset of the next message to read; others are left out."""
        ...

    def pause(self) -> None:
        """Stop fetching, keeping the assignment (heartbeats go on)."""
        ...

    def resume(self) -> None:
        """Fetch again."""
        ...


class MessageSource(msgspec.Struct, frozen=True):
    """How to open subscriptions of one kind of broker; what the hook ``corten_message_sources`` returns.

    ``open`` is given the subscription and a callable that the source awaits, before it gives partitions up, with those
    partitions: the consumer then finishes and commits what it has of them.
    """

    name: str
    open: Callable[
        [Subscription, Callable[[frozenset[Partition]], Awaitable[None]]], AbstractAsyncContextManager[Source]
    ]
