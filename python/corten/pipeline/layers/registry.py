"""What makes a layer of which policy: a line for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corten.pipeline.layers.cache import CacheLayer
from corten.pipeline.layers.layer import Layer
from corten.policies.cache import Cache

LAYERS: Mapping[type, Callable[[Any], Layer]] = {
    Cache: CacheLayer,
}
"""What makes a layer of each policy."""
