"""Registry of layers: makes a policy's layer, and loads its module then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from corten.policies.cache import Cache
from corten.policies.chaos import Chaos
from corten.policies.hedge import Hedge
from corten.policies.middleware import Middleware
from corten.policies.rate_limit import RateLimit

if TYPE_CHECKING:
    from corten.pipeline.layers.layer import Layer, PipelineContext
    from corten.pipeline.stages.stage import Compiled


def _layer(policy_type: type[Any], policy: Any) -> Layer:
    room = import_module(f"corten.pipeline.layers.{policy_type.kind}")
    return cast("Layer", getattr(room, f"{policy_type.__name__}Layer")(policy))


def _rate_limit(policy: RateLimit, compiled: Compiled, context: PipelineContext, index: int) -> Layer | None:
    if not policy.shared:
        return None
    from corten.pipeline.layers.rate_limit import shared_rate_limit

    return shared_rate_limit(policy, compiled, context, index)


LAYERS: Mapping[type, Callable[[Any], Layer]] = {
    policy: partial(_layer, policy) for policy in (Cache, Chaos, Middleware, Hedge)
}
"""Functions that make a policy's layer: a class such as ``CacheLayer``, in the module of the policy's kind."""

SHARED_LAYERS: Mapping[type, Callable[[Any, Compiled, PipelineContext, int], Layer | None]] = {
    RateLimit: _rate_limit,
}
"""Functions that make a layer of a stage that may need Python: of policy, stage, context, and index in its kind."""
