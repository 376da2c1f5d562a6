"""The shared cache tier (L2) in Redis; without the server every read is a miss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from corten.errors import CortenError
from corten_redis.redis import Redis, escaped


class TierStatistics(msgspec.Struct, frozen=True):
    """What a tier did so far."""

    hits: int
    misses: int
    """Of keys that the server did not have."""
    bypassed: int
    """Reads that were misses because the server was away or refused."""
    dropped: int
    """Writes and deletions that were dropped because the server was away."""


_TAG = "tag:"
"""Before the key of a tag: a sorted set of the keys that have it, by the time in milliseconds when they expire."""
_BATCH = 500
"""Keys that the server forgets at a time: it does nothing else meanwhile."""

_SET_TAGGED = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl = tonumber(ARGV[2])
local ends = '+inf'
if ttl > 0 then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ttl)
    ends = now + ttl
else
    redis.call('SET', KEYS[1], ARGV[1])
end
for place = 2, #KEYS do
    redis.call('ZREMRANGEBYSCORE', KEYS[place], '-inf', '(' .. now)
    redis.call('ZADD', KEYS[place], ends, KEYS[1])
    local last = redis.call('ZREVRANGE', KEYS[place], 0, 0, 'WITHSCORES')[2]
    if last == 'inf' then
        redis.call('PERSIST', KEYS[place])
    else
        redis.call('PEXPIREAT', KEYS[place], math.floor(last))
    end
end
"""
_DELETE_TAGGED = """
local members = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)
if #members > 0 then
    redis.call('UNLINK', unpack(members))
    redis.call('ZREM', KEYS[1], unpack(members))
end
return #members
"""


class RedisTier:
    """A cache shared by processes; implements :class:`~corten.cache.TaggedTier`.

    A tag lives as long as its longest-lived entry; expired entries leave the tag when the next entry comes. So the room
    for tags is in proportion to live entries, if entries have a time to live.

    It raises no error when the server fails: a read without an answer is a miss.

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
        """Return the stored bytes; None for a miss, also when the server is away."""
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
        """Store bytes for ``ttl`` seconds (None: until evicted); count the write as dropped if the server is away."""
        if ttl is not None and ttl <= 0:
            return
        try:
            await self._redis.set(key, value, ttl)
        except CortenError:
            self._dropped += 1

    async def delete(self, key: str) -> None:
        """Delete a key; count it as dropped if the server is away, where the value lives on until its ``ttl``."""
        try:
            await self._redis.delete(key)
        except CortenError:
            self._dropped += 1

    async def set_tagged(self, key: str, value: bytes, ttl: float | None, tags: Sequence[str]) -> None:
        """Store bytes under tags, atomically; count the write as dropped if the server is away."""
        if ttl is not None and ttl <= 0:
            return
        milliseconds = 0 if ttl is None else max(1, round(ttl * 1000))
        try:
            await self._redis.run_script(_SET_TAGGED, [key, *(_TAG + tag for tag in tags)], [value, milliseconds])
        except CortenError:
            self._dropped += 1

    async def delete_tagged(self, tag: str) -> None:
        """Delete the keys of a tag, a few hundred at a time; count it as dropped if the server is away."""
        try:
            while await self._redis.run_script(_DELETE_TAGGED, [_TAG + tag], [_BATCH]) == _BATCH:
                pass
        except CortenError:
            self._dropped += 1

    async def delete_where(
        self, prefix: str, key_wanted: Callable[[str], bool], tag_wanted: Callable[[str], bool]
    ) -> None:
        """Delete keys by key or tag, by a scan of the server; count it as dropped if the server is away."""
        try:
            async for tag in self._redis.keys_matching(f"{_TAG}{escaped(prefix)}*"):
                if tag_wanted(tag.removeprefix(_TAG + prefix)):
                    await self.delete_tagged(tag.removeprefix(_TAG))
            batch: list[str] = []
            async for key in self._redis.keys_matching(f"{escaped(prefix)}*"):
                if key_wanted(key.removeprefix(prefix)):
                    batch.append(key)
                if len(batch) == _BATCH:
                    await self._redis.delete(*batch)
                    batch.clear()
            await self._redis.delete(*batch)
        except CortenError:
            self._dropped += 1

    def statistics(self) -> TierStatistics:
        """What the tier did so far."""
        return TierStatistics(self._hits, self._misses, self._bypassed, self._dropped)
