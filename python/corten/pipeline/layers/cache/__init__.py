"""Results kept in front of a function: what all have in common, tasks, threads, the shared tier."""

from corten.pipeline.layers.cache.function_cache import FunctionCache
from corten.pipeline.layers.cache.layer import CacheLayer

__all__ = ["CacheLayer", "FunctionCache"]
