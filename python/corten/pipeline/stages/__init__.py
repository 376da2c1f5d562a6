"""How each policy that the core decides on becomes a stage of it: a module for each, and a line in the registry."""

from corten.pipeline.stages.registry import STAGES
from corten.pipeline.stages.stage import Compiled, Input, StageCompiler

__all__ = ["STAGES", "Compiled", "Input", "StageCompiler"]
