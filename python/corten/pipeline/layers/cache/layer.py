"""The cache as a layer of a pipeline."""

from __future__ import annotations

from typing import cast

from corten.cache import TaggedTier
from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.miss import MISS
from corten.pipeline.functions.signature import FunctionSignature, result_type
from corten.pipeline.layers.cache.async_cache import AsyncCache
from corten.pipeline.layers.cache.function_cache import FunctionCache
from corten.pipeline.layers.cache.shared_results import SharedResults
from corten.pipeline.layers.cache.sync_cache import SyncCache
from corten.pipeline.layers.layer import WrapContext, Wrapped
from corten.pipeline.stages.stage import missing_parameter
from corten.policies.cache import Cache


class CacheLayer:
    """A cache in front of the layers and the segment inside it."""

    kind = "cache"

    def __init__(self, policy: Cache) -> None:
        self._policy = policy

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """Refuse parameters that the function lacks, and time limits of sync functions."""
        policy = self._policy
        if signature.flavor == "sync":
            for name in ("soft_timeout", "hard_timeout"):
                if getattr(policy, name) is not None:
                    return (
                        f"cache has a {name}, and {function} is a sync function, which nothing can interrupt: leave "
                        f"{name} out, or make it async"
                    )
        for name in policy.parameters() or ():
            if problem := missing_parameter("cache", "has a key by", name, signature, function):
                return problem
        for template in policy.templates():
            for name in template.names:
                if problem := missing_parameter(
                    "cache", f"has the tag {template.text!r} by", name, signature, function
                ):
                    return problem
        return None

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Look up results before the inner layers; keep results that do not depend on the changed fields."""
        policy, context = self._policy, wrap_context.pipeline
        is_sync = wrap_context.signature.flavor == "sync"
        cache: FunctionCache = SyncCache(policy, wrap_context) if is_sync else AsyncCache(policy, wrap_context)
        if policy.shared and context.tiers and not is_sync:
            tier = context.tiers[0]
            if policy.tags and not isinstance(tier, TaggedTier):
                raise ValueError(
                    f"pipeline {context.name!r}: cache has tags and is shared, and the shared tier {tier.name!r} "
                    "does not know tags: leave them out, or don't share"
                )
            prefix = f"{context.name}:{wrap_context.function.__module__}.{wrap_context.function_name}"
            result = result_type(wrap_context.function, wrap_context.signature.flavor)
            cache.shared = SharedResults(tier, prefix, policy.version, result, cast("float | None", policy.ttl))
        names = {"lookup": cache.lookup, "MISS": MISS, "on_miss": cache.on_miss, **cache.key.names}
        return Wrapped(texts.CACHED, names, key=cache.key.text, kept=cache, change=cache.configure_results)
