"""Protocols of a cache tier that processes share (L2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable


class CacheTier(Protocol):
    """A cache shared by processes.

    A tier that can't be reached degrades instead of failing: a miss, counted and visible.
    """

    @property
    def name(self) -> str:
        """The name of the plugin instance, such as ``redis``."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Return the stored bytes, or None for a miss or an unreachable tier."""
        ...

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store bytes for ``ttl`` seconds (None: until evicted).

        A value that can't be stored is dropped and counted.
        """
        ...

    async def delete(self, key: str) -> None:
        """Delete a key."""
        ...


@runtime_checkable
class TaggedTier(CacheTier, Protocol):
    """A tier that also invalidates by tag and pattern; failures are counted."""

    async def set_tagged(self, key: str, value: bytes, ttl: float | None, tags: Sequence[str]) -> None:
        """Store bytes as `set` does, with tags, in one atomic step."""
        ...

    async def delete_tagged(self, tag: str) -> None:
        """Delete all keys that have a tag."""
        ...

    async def delete_where(
        self, prefix: str, key_wanted: Callable[[str], bool], tag_wanted: Callable[[str], bool]
    ) -> None:
        """Delete keys by a test of the key or of a tag, without their prefix. Walks all keys."""
        ...
