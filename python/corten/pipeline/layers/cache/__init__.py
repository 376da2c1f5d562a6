"""Caches in front of functions, async and sync, with a shared tier."""

from corten.pipeline.layers.cache.function_cache import FunctionCache
from corten.pipeline.layers.cache.layer import CacheLayer

__all__ = ["CacheLayer", "FunctionCache"]
