"""Counts of an in-process cache."""

from __future__ import annotations

from typing import Annotated

import msgspec

from corten.metrics.measured import counter, gauge


class CacheStatistics(msgspec.Struct, frozen=True):
    """Counts since the cache was made, and its present size."""

    hits: Annotated[int, counter("Lookups that found a value")]
    misses: Annotated[int, counter("Lookups that found none, or one whose time had passed")]
    inserts: Annotated[int, counter("Values put in, new and replaced ones")]
    evictions: Annotated[int, counter("Entries that left to make room")]
    expirations: Annotated[int, counter("Entries that left because their time had passed")]
    rejections: Annotated[int, counter("Values not taken because they alone weigh more than max_bytes")]
    entries: Annotated[int, gauge("Entries now, with those whose time has passed but which nobody has met since")]
    bytes: Annotated[int, gauge("What they weigh together; 0 for a cache without weights")]
    stale: Annotated[int, counter("Entries given out though their time had passed, for want of better")] = 0
    refreshes: Annotated[int, counter("Hits whose caller was chosen to make the entry anew ahead of time")] = 0
    invalidations: Annotated[int, counter("Entries taken out as no longer so: by key, tag or pattern")] = 0
    tags: Annotated[int, gauge("The different tags that entries have now")] = 0

    @property
    def hit_ratio(self) -> float:
        """Share of lookups that found a value, 0 to 1; 0 without lookups."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0
