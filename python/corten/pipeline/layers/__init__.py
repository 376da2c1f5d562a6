"""Policies that run in Python, each in a module."""

from corten.pipeline.layers.layer import KeepsState, Layer, PipelineContext, WrapContext, Wrapped
from corten.pipeline.layers.registry import LAYERS, SHARED_LAYERS

__all__ = ["LAYERS", "SHARED_LAYERS", "KeepsState", "Layer", "PipelineContext", "WrapContext", "Wrapped"]
