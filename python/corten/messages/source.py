"""Message sources: subscriptions, from brokers' plugins, that deliver batches and commit positions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from corten.messages.message import Message

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""


class Subscription(msgspec.Struct, frozen=True):
    """Topics, group and batch size that a consumer asks for."""

    topics: tuple[str, ...]
    group: str
    max_batch: int = 1000
    """The most messages delivered at once."""


class Source(Protocol):
    """An open subscription of one consumer.

    Messages of a partition come in order. A source never commits by itself.
    """

    async def receive(self) -> Sequence[Message]:
        """Wait for messages and return up to ``max_batch``; none after closing."""
        ...

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Store the next offset to read of each assigned partition."""
        ...

    def pause(self) -> None:
        """Stop fetching, keeping the assignment (heartbeats continue)."""
        ...

    def resume(self) -> None:
        """Fetch again."""
        ...


class MessageSource(msgspec.Struct, frozen=True):
    """Opens subscriptions of one broker; for the hook ``corten_message_sources``.

    ``open`` takes the subscription and an async function. Before the source gives partitions up it awaits that
    function with them, so that the consumer finishes and commits its messages.
    """

    name: str
    open: Callable[
        [Subscription, Callable[[frozenset[Partition]], Awaitable[None]]], AbstractAsyncContextManager[Source]
    ]
