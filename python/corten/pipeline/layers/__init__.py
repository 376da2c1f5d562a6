"""Policies that run in Python: a module for each, and a line in the registry."""

from corten.pipeline.layers.layer import KeepsState, Layer, PipelineContext, WrapContext, Wrapped
from corten.pipeline.layers.registry import LAYERS, SHARED_LAYERS

__all__ = ["LAYERS", "SHARED_LAYERS", "KeepsState", "Layer", "PipelineContext", "WrapContext", "Wrapped"]
