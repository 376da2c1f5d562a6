"""Layers: policies that run in Python, each in a wrapper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from corten._core import PipelineCounts, RetryBudget
from corten.clock import Clock
from corten.pipeline.controls.control import Control
from corten.pipeline.functions.signature import FunctionSignature, name_of
from corten.pipeline.stages.stage import Input

if TYPE_CHECKING:
    from corten.cache import CacheTier
    from corten.events.observer import Observer
    from corten.pipeline.background import Background
    from corten.pipeline.controls.named import NamedControls
    from corten.pipeline.telemetry.events import PipelineEvents
    from corten.rate_limit import LimiterBackend


class PipelineContext(msgspec.Struct, frozen=True):
    """Clock, counts and plugins that all layers of a pipeline use."""

    name: str
    """The pipeline's name."""
    clock: Clock
    counts: PipelineCounts
    events: PipelineEvents
    breakers: NamedControls
    observers: Sequence[Observer] = ()
    tiers: Sequence[CacheTier] = ()
    budget: RetryBudget | None = None
    """The budget of all further attempts of the pipeline."""
    background: Background | None = None
    """Runs work without a waiting caller; None without an App."""
    limiters: Sequence[LimiterBackend] = ()
    """Backends of limits that processes share."""


class WrapContext(msgspec.Struct, frozen=True):
    """A function to wrap in a layer, with its pipeline."""

    pipeline: PipelineContext
    function: Callable[..., Any]
    """The user's function."""
    signature: FunctionSignature
    inside: Callable[..., Any]
    """The next wrapper or the function; a coroutine function if the user's function is awaited."""
    outermost: bool
    """Whether this layer is the outermost one."""
    kept: object | None
    """The ``kept`` of the former layer at this position."""

    @property
    def function_name(self) -> str:
        """The function's qualified name."""
        return name_of(self.function)


class Wrapped(msgspec.Struct, frozen=True):
    """The text and globals of a layer's wrapper."""

    text: str
    """One of `wrapper_texts`, or one that its functions make."""
    names: Mapping[str, Any]
    """Globals of the text."""
    inputs: tuple[Input, ...] = ()
    """Inputs of the policy, handed on as a tuple."""
    key: str | None = None
    """Source text for a cache's key; None: the signature's."""
    kept: object | None = None
    """State for the next layer at this position, after the pipeline is compiled again."""
    change: Callable[[], object] | None = None
    """Applies the policy to kept state, after all policies were compiled."""
    trims: bool = False
    """Whether to take Corten's frames out of tracebacks: in the outermost of several wrappers."""


Position = tuple[str, int]
"""A policy's kind, and its index in this kind; the key of kept state when policies change."""


def positions(kinds: Iterable[str]) -> list[Position]:
    """Return the positions of policies, by their kinds in order."""
    seen: Counter[str] = Counter()
    found: list[Position] = []
    for kind in kinds:
        found.append((kind, seen[kind]))
        seen[kind] += 1
    return found


class Layer(Protocol):
    """A policy in Python, or a segment of the core."""

    @property
    def kind(self) -> str:
        """The kind of its policy; empty for a segment."""
        ...

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """Return why the layer can't guard a function, or None."""
        ...

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Return the wrapper of a function in this layer.

        :raises ValueError: the layer can't guard the function
        """
        ...


@runtime_checkable
class KeepsState(Protocol):
    """A layer with state for the whole pipeline."""

    def keep(self, state: Control | None) -> Control:
        """Take over the state of this position, if any, and return the layer's state."""
        ...
