"""What a shared cache tier (L2) offers to the pipeline and to `MemoryCache`'s users."""

from __future__ import annotations

from typing import Protocol


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
