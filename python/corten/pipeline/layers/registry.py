"""Which class makes a layer of which policy; loaded when first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from corten.policies.cache import Cache
from corten.policies.chaos import Chaos
from corten.policies.hedge import Hedge
from corten.policies.middleware import Middleware
from corten.policies.rate_limit import RateLimit

if TYPE_CHECKING:
    from corten.pipeline.layers.layer import Layer, PipelineContext
    from corten.pipeline.stages.stage import Compiled


def _cache(policy: Cache) -> Layer:
    from corten.pipeline.layers.cache import CacheLayer

    return CacheLayer(policy)


def _chaos(policy: Chaos) -> Layer:
    from corten.pipeline.layers.chaos import ChaosLayer

    return ChaosLayer(policy)


def _middleware(policy: Middleware) -> Layer:
    from corten.pipeline.layers.middleware import MiddlewareLayer

    return MiddlewareLayer(policy)


def _hedge(policy: Hedge) -> Layer:
    from corten.pipeline.layers.hedge import HedgeLayer

    return HedgeLayer(policy)


def _rate_limit(policy: RateLimit, compiled: Compiled, context: PipelineContext, index: int) -> Layer | None:
    if not policy.shared:
        return None
    from corten.pipeline.layers.rate_limit import shared_rate_limit

    return shared_rate_limit(policy, compiled, context, index)


LAYERS: Mapping[type, Callable[[Any], Layer]] = {
    Cache: _cache,
    Chaos: _chaos,
    Middleware: _middleware,
    Hedge: _hedge,
}
"""Makes a layer of a policy."""

SHARED_LAYERS: Mapping[type, Callable[[Any, Compiled, PipelineContext, int], Layer | None]] = {
    RateLimit: _rate_limit,
}
"""Makes a layer of a stage that needs Python too: from policy, stage, context, and index among its kind."""
