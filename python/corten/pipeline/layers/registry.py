"""What makes a layer of which policy: a line for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corten.pipeline.layers.cache import CacheLayer
from corten.pipeline.layers.chaos import ChaosLayer
from corten.pipeline.layers.custom import CustomLayer
from corten.pipeline.layers.hedge import HedgeLayer
from corten.pipeline.layers.layer import Layer, Surroundings
from corten.pipeline.layers.rate_limit import shared_rate_limit
from corten.pipeline.stages.stage import Compiled
from corten.policies.cache import Cache
from corten.policies.chaos import Chaos
from corten.policies.custom import Custom
from corten.policies.hedge import Hedge
from corten.policies.rate_limit import RateLimit

LAYERS: Mapping[type, Callable[[Any], Layer]] = {
    Cache: CacheLayer,
    Chaos: ChaosLayer,
    Custom: CustomLayer,
    Hedge: HedgeLayer,
}
"""What makes a layer of each policy."""

LIFTED: Mapping[type, Callable[[Any, Compiled, Surroundings, int], Layer | None]] = {
    RateLimit: shared_rate_limit,
}
"""What makes a layer of a stage of the core that needs one here: the policy, the stage, and which among its like."""
