"""Policies that the core runs, each compiled by a module."""

from corten.pipeline.stages.registry import STAGES
from corten.pipeline.stages.stage import Compiled, Input, StageCompiler

__all__ = ["STAGES", "Compiled", "Input", "StageCompiler"]
