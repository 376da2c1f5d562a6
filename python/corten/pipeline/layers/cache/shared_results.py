"""Results of one function in the App's shared tier (L2), as msgpack."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from corten._core import Glob
from corten.cache import CacheTier, TaggedTier
from corten.errors import CortenError
from corten.pipeline.functions.miss import MISS
from corten.pipeline.layers.key_text import key_text, pattern_text

_log = logging.getLogger("corten.pipeline")


class SharedResults:
    """Results of one function in a tier.

    A value that can't be decoded is a miss; a value that can't be encoded is not shared.

    :param prefix: pipeline and function, so that no function reads another's results
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
        """Return the result for a key, or ``MISS``."""
        text = self._key(key)
        data = None if text is None else await self._tier.get(text)
        if data is None:
            return MISS
        try:
            return self._decoder.decode(data)
        except (msgspec.DecodeError, ValueError):
            return MISS

    async def set(self, key: object, value: object, ttl: float | None = None, tags: Sequence[str] = ()) -> None:
        """Share a result.

        :param ttl: seconds; None: the cache's own time to live
        """
        text = self._key(key)
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
        text = self._key(key)
        if text is not None:
            await self._tier.delete(text)

    async def delete_tag(self, tag: str) -> None:
        """Forget the results that have a tag.

        :raises CortenError: the tier does not know tags
        """
        await self._tagged("tags").delete_tagged(self._prefix + tag)

    async def delete_matching(self, pattern: str) -> None:
        """Forget the results with a tag or key that matches, and those with a hashed key.

        :raises CortenError: the tier does not know patterns
        """
        glob = Glob(pattern)

        def wanted(key: str) -> bool:
            text = pattern_text(key)
            return text is None or glob.matches(text)

        await self._tagged("patterns").delete_where(self._prefix, wanted, glob.matches)

    def _tagged(self, what: str) -> TaggedTier:
        if not isinstance(self._tier, TaggedTier):
            raise CortenError(
                f"{self._prefix} the shared tier {self._tier.name!r} does not know {what}: its results stay "
                "until they expire; leave {what} out, or use a tier with set_tagged, delete_tagged, delete_where"
            )
        return self._tier

    def _key(self, key: object) -> str | None:
        """Return the tier's key, or None for arguments that can't be written."""
        try:
            return self._prefix + key_text(key)
        except TypeError as error:
            self._warn("arguments", error)
            return None

    def _warn(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s %s can't be written as msgpack or JSON and is kept in this process only: %s",
                self._prefix,
                what,
                error,
            )
