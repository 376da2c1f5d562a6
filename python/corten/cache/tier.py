"""What a shared cache tier (L2) offers to the pipeline and to `MemoryCache`'s users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable


class CacheTier(Protocol):
    """A cache shared by processes. It degrades instead of failing: gone means a miss, counted and visible."""

    @property
    def name(self) -> str:
        """The plugin instance behind the tier: ``redis``."""
        ...

    async def get(self, key: str) -> bytes | None:
        """The stored bytes; None for a miss and when the tier can't be reached."""
        ...

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store bytes for ``ttl`` seconds (None: until evicted); dropped and counted when the tier can't be reached."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key."""
        ...


@runtime_checkable
class TaggedTier(CacheTier, Protocol):
    """A tier that also invalidates by tag and pattern. What can't be carried out is counted and visible, as there."""

    async def set_tagged(self, key: str, value: bytes, ttl: float | None, tags: Sequence[str]) -> None:
        """Store bytes as `set` does, under tags: all of it or nothing."""
        ...

    async def delete_tagged(self, tag: str) -> None:
        """Forget all that was stored under a tag."""
        ...

    async def delete_where(
        self, prefix: str, key_wanted: Callable[[str], bool], tag_wanted: Callable[[str], bool]
    ) -> None:
        """Forget what has a key, or a tag, that begins with the prefix and whose rest is wanted. Walks all keys."""
        ...
