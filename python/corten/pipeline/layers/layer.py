"""What a layer is: a wrapper of its own between the caller and what is further inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from corten._core import PipelineCounts, RetryBudget
from corten.clock import Clock
from corten.pipeline.functions.signature import FunctionSignature, name_of
from corten.pipeline.stages.stage import Input

if TYPE_CHECKING:
    from corten.cache.tier import CacheTier
    from corten.events.observer import Observer
    from corten.pipeline.background import Background
    from corten.pipeline.controls.named import NamedControls
    from corten.pipeline.telemetry.events import PipelineEvents
    from corten.rate_limit.backend import LimiterBackend


class PipelineContext(msgspec.Struct, frozen=True):
    """What all layers of a pipeline have in common."""

    name: str
    """The name of the pipeline."""
    clock: Clock
    counts: PipelineCounts
    events: PipelineEvents
    breakers: NamedControls
    observers: Sequence[Observer] = ()
    tiers: Sequence[CacheTier] = ()
    budget: RetryBudget | None = None
    """Of all further attempts of the pipeline."""
    background: Background | None = None
    """Where work goes that no caller waits for; None: there is no App."""
    limiters: Sequence[LimiterBackend] = ()
    """Where limits can be kept that processes share."""


class WrapContext(msgspec.Struct, frozen=True):
    """Where a layer is put."""

    pipeline: PipelineContext
    function: Callable[..., Any]
    """The user's function."""
    signature: FunctionSignature
    inside: Callable[..., Any]
    """What is further inside, called as the function is: a coroutine function where that is awaited."""
    outermost: bool
    """Whether nothing of the pipeline stands further outside."""
    kept: object | None
    """What the layer of the same kind at the same place kept for this function."""

    @property
    def function_name(self) -> str:
        """The function's qualified name."""
        return name_of(self.function)


class Wrapped(msgspec.Struct, frozen=True):
    """How the wrapper of a layer runs."""

    text: str
    """One of `wrapper_texts`, or one that its functions make."""
    names: Mapping[str, Any]
    """The names that the text uses."""
    inputs: tuple[Input, ...] = ()
    """What of the call's arguments is handed to it besides, as a tuple."""
    key: str | None = None
    """Source text for a cache's key, in place of the signature's own."""
    kept: object | None = None
    """Handed to whatever takes its place, when the pipeline is compiled again."""
    change: Callable[[], object] | None = None
    """Makes what was kept what the policy says now; called when all policies could be compiled."""
    trims: bool = False
    """Take frames of ours out of the tracebacks of errors; for the outermost wrapper of several."""


class Layer(Protocol):
    """A policy in Python, or a run of stages of the core."""

    @property
    def kind(self) -> str:
        """The kind of its policy; by it and its place among its like it finds what it kept."""
        ...

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """Say why it can't guard a function, in words that end the pipeline's error; None: it can."""
        ...

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Put it around what is inside.

        :raises ValueError: the function is not one that it can guard
        """
        ...


@runtime_checkable
class KeepsState(Protocol):
    """A layer that has state of its own for the whole pipeline."""

    def keep(self, state: object | None) -> object:
        """Go on with what a predecessor of the same kind and place kept, or None; gives what is kept from now on."""
        ...
