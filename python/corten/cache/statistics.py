"""What an in-process cache has counted."""

from __future__ import annotations

import msgspec


class CacheStatistics(msgspec.Struct, frozen=True):
    """Counts since the cache was made, and what it holds now."""

    hits: int
    """Lookups that found a value."""
    misses: int
    """Lookups that found none, or one whose time had passed."""
    inserts: int
    """Values put in, new and replaced ones."""
    evictions: int
    """Entries that left to make room."""
    expirations: int
    """Entries that left because their time had passed."""
    rejections: int
    """Values not taken because they alone weigh more than ``max_bytes``."""
    entries: int
    """Entries now, with those whose time has passed but which nobody has met since."""
    bytes: int
    """What they weigh together; 0 for a cache without weights."""
    stale: int = 0
    """Entries given out though their time had passed, for want of better."""
    refreshes: int = 0
    """Hits whose caller was chosen to make the entry anew ahead of its time."""
    invalidations: int = 0
    """Entries taken out because what they say is no longer so: by key, tag or pattern."""
    tags: int = 0
    """The different tags that entries have now."""

    @property
    def hit_ratio(self) -> float:
        """The share of lookups that found a value, from 0 to 1; 0 where there was no lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0
