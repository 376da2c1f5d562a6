"""Results in the App's shared tier (L2): msgpack under a key that says whose and which version they are."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from corten._core import Glob
from corten.cache.tier import CacheTier, TaggedTier
from corten.errors import CortenError
from corten.pipeline.functions.miss import MISS

_log = logging.getLogger("corten.pipeline")

_READABLE = 200
"""Keys up to so many characters are stored as they are, longer ones as their hash."""


def _distinct(key: object) -> object:
    """A key such that different ones are different JSON; no argument can be the dict, which is not hashable."""
    if key is None or type(key) in (str, int, bool):
        return key
    if type(key) is float:
        return key if math.isfinite(key) else {"float": repr(key)}  # JSON has null for all of those
    if type(key) is tuple:
        return [_distinct(each) for each in cast("tuple[object, ...]", key)]
    kind = type(key)
    if isinstance(key, frozenset):  # in the same order in every process
        key = sorted(msgspec.json.encode(_distinct(each)) for each in cast("frozenset[object]", key))
    return {f"{kind.__module__}.{kind.__qualname__}": key}


def _readable(key: str) -> str | None:
    """A key of the tier as patterns see keys of this process; None for one that is a hash."""
    try:
        parts = msgspec.json.decode(key)
    except msgspec.DecodeError:
        return None
    return ":".join(map(_text, cast("list[object]", parts))) if isinstance(parts, list) else _text(parts)


def _text(part: object) -> str:
    if isinstance(part, dict):  # of a type that JSON does not tell apart
        part = next(iter(cast("dict[str, object]", part).values()), "")
    return part if isinstance(part, str) else str(part)


class SharedResults:
    """One function's results in a tier. What can't be read is a miss; what can't be written is not shared.

    :param prefix: pipeline and function; results of one must never be read as another's
    :param result: the type that the function returns
    """

    def __init__(self, tier: CacheTier, prefix: str, version: int, result: Any, ttl: float | None) -> None:
        self._tier = tier
        self._prefix = f"corten:{prefix}:v{version}:"
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(result)
        self._encoder = msgspec.msgpack.Encoder()
        self._ttl = ttl
        self._warned = False

    async def get(self, key: object) -> Any:
        """The result for a key, or ``MISS``."""
        text = self.key(key)
        data = None if text is None else await self._tier.get(text)
        if data is None:
            return MISS
        try:
            return self._decoder.decode(data)
        except (msgspec.DecodeError, ValueError):
            return MISS

    async def set(self, key: object, value: object, ttl: float | None = None, tags: Sequence[str] = ()) -> None:
        """Share a result.

        :param ttl: seconds; None: as the cache was made
        """
        text = self.key(key)
        if text is None:
            return
        try:
            data = self._encoder.encode(value)
        except (TypeError, ValueError, OverflowError) as error:
            self._warn("a result", error)
            return
        ttl = self._ttl if ttl is None else None if math.isinf(ttl) else ttl
        if not tags:
            await self._tier.set(text, data, ttl)
        else:
            await self._tagged("tags").set_tagged(text, data, ttl, [self._prefix + tag for tag in tags])

    async def delete(self, key: object) -> None:
        """Forget a result."""
        text = self.key(key)
        if text is not None:
            await self._tier.delete(text)

    async def delete_tag(self, tag: str) -> None:
        """Forget the results that have a tag.

        :raises CortenError: the tier does not know tags
        """
        await self._tagged("tags").delete_tagged(self._prefix + tag)

    async def delete_matching(self, pattern: str) -> None:
        """Forget the results that have a tag, or a key, which is as the pattern says, and those whose key is not known.

        :raises CortenError: the tier does not know patterns
        """
        glob = Glob(pattern)

        def wanted(key: str) -> bool:
            text = _readable(key)
            return text is None or glob.matches(text)

        await self._tagged("patterns").delete_where(self._prefix, wanted, glob.matches)

    def _tagged(self, what: str) -> TaggedTier:
        if not isinstance(self._tier, TaggedTier):
            raise CortenError(
                f"{self._prefix} the shared tier {self._tier.name!r} does not know {what}: what has one there stays "
                "until its time has passed; leave them out, or have a tier with set_tagged, delete_tagged, delete_where"
            )
        return self._tier

    def key(self, key: object) -> str | None:
        """The tier's key: the arguments as JSON, so that 1 and "1" differ; None where they can't be written.

        JSON writes more than it tells apart (bytes, dates and UUIDs become text): of those the type is named as well.
        """
        try:
            text = msgspec.json.encode(_distinct(key))
        except (TypeError, ValueError, OverflowError) as error:
            self._warn("arguments", error)
            return None
        if len(text) > _READABLE:
            import hashlib

            return f"{self._prefix}{hashlib.blake2b(text, digest_size=20).hexdigest()}"
        return self._prefix + text.decode()

    def _warn(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s %s can't be written as msgpack or JSON and is kept in this process only: %s",
                self._prefix,
                what,
                error,
            )
