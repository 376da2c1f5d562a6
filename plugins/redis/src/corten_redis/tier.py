"""The shared cache tier (L2): asks Redis where it is there, and is a miss where it is not."""

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
    """Writes and deletions that were not carried out for the same reason."""


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

    A tag is kept as long as the entry with it that lives longest; entries whose time has passed leave it when the next
    one comes. So tags take room in proportion to the entries that live, where those have a time to live.

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

    async def set_tagged(self, key: str, value: bytes, ttl: float | None, tags: Sequence[str]) -> None:
        """Store bytes under tags, in one step on the server; dropped and counted when it is away."""
        if ttl is not None and ttl <= 0:
            return
        milliseconds = 0 if ttl is None else max(1, round(ttl * 1000))
        try:
            await self._redis.run_script(_SET_TAGGED, [key, *(_TAG + tag for tag in tags)], [value, milliseconds])
        except CortenError:
            self._dropped += 1

    async def delete_tagged(self, tag: str) -> None:
        """Forget what has a tag, a few hundred keys at a time; counted when the server is away, as in `delete`."""
        try:
            while await self._redis.run_script(_DELETE_TAGGED, [_TAG + tag], [_BATCH]) == _BATCH:
                pass
        except CortenError:
            self._dropped += 1

    async def delete_where(
        self, prefix: str, key_wanted: Callable[[str], bool], tag_wanted: Callable[[str], bool]
    ) -> None:
        """Forget what has a wanted key or tag; counted when the server is away, as in `delete`. Scans the server."""
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
