"""What the compiler needs of each policy that the core decides on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from corten.clock import Clock
from corten.pipeline.functions.signature import FunctionSignature

Input = str | Callable[..., Any]
"""What a policy wants to know of each call: a parameter's name, or a function of the call's arguments."""


class Compiled(msgspec.Struct, frozen=True):
    """A policy as a stage of the core."""

    stage: tuple[Any, ...]
    """The policy's word and what the core needs of it."""
    state: object | None = None
    """What is kept when the pipeline is compiled again, for the policy of the same word at the same place."""
    change: Callable[[], object] | None = None
    """Makes state that was kept what the policy says now; called when all policies could be compiled."""
    inputs: tuple[tuple[str, Input], ...] = ()
    """What each call brings for this stage, by what it is to the core: ``key``, ``cost``, ``priority``."""


class StageCompiler(Protocol):
    """A module of this room."""

    def compile_stage(self, policy: Any, state: Any, clock: Clock) -> Compiled:
        """Make a stage; ``state`` is what the policy's predecessor kept, or None.

        :raises ValueError: the policy can't be compiled
        """
        ...

    def objection(self, policy: Any, signature: FunctionSignature, function: str) -> str | None:
        """Say why the policy can't guard a function, in words that end the pipeline's error; None: it can."""
        ...


def missing_parameter(word: str, what: str, name: object, signature: FunctionSignature, function: str) -> str | None:
    """The objection to a name that is no parameter of the function; None where it is one, or no name at all."""
    if not isinstance(name, str) or name in signature.names:
        return None
    return f"{word} {what} {name!r}, which is no parameter of {function}: it has {', '.join(signature.names) or 'none'}"
