"""The in-process cache (L1) and what a shared tier (L2) offers."""

from corten._core import MemoryCache
from corten.cache.statistics import CacheStatistics
from corten.cache.tier import CacheTier, TaggedTier

__all__ = ["CacheStatistics", "CacheTier", "MemoryCache", "TaggedTier"]
