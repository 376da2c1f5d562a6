"""The interface of modules that compile policies into stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from corten._core import Stage
from corten.clock import Clock
from corten.pipeline.controls.control import Control
from corten.pipeline.functions.signature import FunctionSignature

Input = str | Callable[..., Any]
"""An input of a policy: a parameter's name, or a function of the call's arguments."""


class Compiled(msgspec.Struct, frozen=True):
    """A policy as a stage of the core."""

    policy: Any
    stage: Stage
    state: Control | None = None
    """Kept when the pipeline is compiled again, for the policy of this kind at this position."""
    change: Callable[[], object] | None = None
    """Applies the policy to state that was kept; called once all policies could be compiled."""
    inputs: tuple[tuple[str, Input], ...] = ()
    """What each call brings for this stage: ``key``, ``cost`` or ``priority``, and where it comes from."""


class StageCompiler(Protocol):
    """A module of this room."""

    def compile_stage(self, policy: Any, state: Any, clock: Clock) -> Compiled:
        """Make a stage; ``state`` is the state kept at its position, or None.

        :raises ValueError: the policy cannot be compiled
        """
        ...

    def objection(self, policy: Any, signature: FunctionSignature, function: str) -> str | None:
        """Return why the policy can't guard a function; None: it can."""
        ...


def missing_parameter(word: str, what: str, name: object, signature: FunctionSignature, function: str) -> str | None:
    """Object to a name that is no parameter of the function."""
    if not isinstance(name, str) or name in signature.names:
        return None
    return f"{word} {what} {name!r}, which is no parameter of {function}: it has {', '.join(signature.names) or 'none'}"
