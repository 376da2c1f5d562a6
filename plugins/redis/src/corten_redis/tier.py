"""The shared cache tier (L2): asks Redis where it is there, and is a miss where it is not."""

from __future__ import annotations

import msgspec

from corten.errors import CortenError
from corten_redis.redis import Redis


class TierStatistics(msgspec.Struct, frozen=True):
    """What a tier did so far."""

    hits: int
    misses: int
    """Of keys that the server did not have."""
    bypassed: int
    """Reads that were misses because the server was away or refused."""
    dropped: int
    """Writes and deletions that were not carried out for the same reason."""


class RedisTier:
    """A cache shared by processes; implements :class:`~corten.cache.tier.CacheTier`.

    It never raises for the server's sake: what the server does not answer is a miss.

    :param name: ``redis``, or ``redis.<instance>``
    """

    def __init__(self, redis: Redis, name: str = "redis") -> None:
        self._redis = redis
        self._name = name
        self._hits = self._misses = self._bypassed = self._dropped = 0

    @property
    def name(self) -> str:
        """The plugin instance behind the tier."""
        return self._name

    async def get(self, key: str) -> bytes | None:
        """The stored bytes; None for a miss and when the server can't be reached."""
        if not self._redis.reachability.up:
            self._bypassed += 1
            return None
        try:
            value = await self._redis.get(key)
        except CortenError:
            self._bypassed += 1
            return None
        if value is None:
            self._misses += 1
        else:
            self._hits += 1
        return value

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store bytes for ``ttl`` seconds (None: until evicted); dropped and counted when the server is away."""
        if ttl is not None and ttl <= 0:
            return
        try:
            await self._redis.set(key, value, ttl)
        except CortenError:
            self._dropped += 1

    async def delete(self, key: str) -> None:
        """Forget a key; counted when the server is away, where the value then lives as long as its time to live."""
        try:
            await self._redis.delete(key)
        except CortenError:
            self._dropped += 1

    def statistics(self) -> TierStatistics:
        """What the tier did so far."""
        return TierStatistics(self._hits, self._misses, self._bypassed, self._dropped)
