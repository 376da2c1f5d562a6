"""Cache: answer from memory what was answered before."""

from __future__ import annotations

from typing import Literal

import msgspec

from corten.policies.check import positive, whole
from corten.settings import Duration, Size


class Cache(msgspec.Struct, frozen=True, tag_field="policy", tag="cache"):
    """Keeps results by the call's arguments; calls for the same key while one is under way share it (single flight).

    Each function has a cache of its own. The key is the argument itself or the tuple of all of them, without ``self``
    or ``cls``; arguments must be hashable, and equal ones are one (``1``, ``1.0`` and ``True``). Only results are kept,
    never errors; an error goes to all who waited for that call. Everybody gets the same object: don't change it.
    """

    ttl: Duration | None = None
    """Seconds a result is good for; None: until it is evicted."""
    max_entries: int = 10_000
    """Results kept for each function."""
    max_bytes: Size | None = None
    """Bytes kept for each function, as far as `sys.getsizeof` knows; None: no limit."""
    eviction: Literal["s3fifo", "lru"] = "s3fifo"
    """Who goes when it is full."""
    shared: bool = False
    """Ask and fill the App's shared tier (L2) as well: results must be what msgspec can write as msgpack."""
    version: int = 1
    """Raise it when the results' type changes: what the shared tier holds under another version is a miss."""

    def __post_init__(self) -> None:
        if self.ttl is not None:
            positive("cache", "ttl", self.ttl)
        whole("cache", "max_entries", self.max_entries, 1, 2**32 - 2)
        if self.max_bytes is not None:
            whole("cache", "max_bytes", self.max_bytes, 1, 2**63 - 1)
        if self.eviction not in ("s3fifo", "lru"):
            raise ValueError(f"cache: eviction is {self.eviction!r}; there are 's3fifo' and 'lru'")
