"""Policies that stand in Python around what is further inside: a module for each, and a line in the registry."""

from corten.pipeline.layers.layer import KeepsState, Layer, Site, Surroundings, Wrapped
from corten.pipeline.layers.registry import LAYERS, LIFTED

__all__ = ["LAYERS", "LIFTED", "KeepsState", "Layer", "Site", "Surroundings", "Wrapped"]
