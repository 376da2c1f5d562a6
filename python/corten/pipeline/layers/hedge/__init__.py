"""Hedge: another attempt beside a slow one, on asyncio and on trio."""

from corten.pipeline.layers.hedge.layer import FunctionHedge, HedgeLayer

__all__ = ["FunctionHedge", "HedgeLayer"]
