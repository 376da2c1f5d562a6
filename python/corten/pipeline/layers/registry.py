"""What makes a layer of which policy: a line for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corten.pipeline.layers.cache import CacheLayer
from corten.pipeline.layers.chaos import ChaosLayer
from corten.pipeline.layers.custom import CustomLayer
from corten.pipeline.layers.layer import Layer
from corten.policies.cache import Cache
from corten.policies.chaos import Chaos
from corten.policies.custom import Custom

LAYERS: Mapping[type, Callable[[Any], Layer]] = {
    Cache: CacheLayer,
    Chaos: ChaosLayer,
    Custom: CustomLayer,
}
"""What makes a layer of each policy."""
