"""The inside of a pipeline: binding to an App, compiling, guarding."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from corten import _core
from corten.clock import Clock
from corten.errors import CortenError
from corten.metrics.registry import Registry, default_registry
from corten.pipeline import switches
from corten.pipeline.compile.compiler import Compiler
from corten.pipeline.controls.named import NamedControls
from corten.pipeline.functions.function import GuardedFunction, without_policies
from corten.pipeline.layers import Layer, PipelineContext
from corten.pipeline.telemetry.events import PipelineEvents
from corten.pipeline.telemetry.metrics import measure
from corten.policies.chaos import Chaos
from corten.policies.combined.policy import Policy

if TYPE_CHECKING:
    from corten.cache import CacheTier
    from corten.error_handler import ErrorHandler
    from corten.events import Events
    from corten.events.observer import Observer
    from corten.pipeline.background import Background
    from corten.pipeline.blocks.guard import Guard
    from corten.rate_limit import LimiterBackend

_process_clock = Clock()
_process_breakers = NamedControls()


class PipelineRuntime:
    """The inside of a `corten.Pipeline`, for Apps, tests and telemetry.

    Guarded functions keep it alive, so that new policies reach them.

    :raises ValueError: there are more policies than fit
    """

    def __init__(
        self, name: str, policies: tuple[Policy, ...], registry: Registry | None = None, clock: Clock | None = None
    ) -> None:
        self.name = name
        self.registry = registry if registry is not None else default_registry()
        self.events = PipelineEvents(name)
        self.context = PipelineContext(
            name,
            clock if clock is not None else _process_clock,
            _core.PipelineCounts(name, self.registry.core),
            self.events,
            _process_breakers,
        )
        self.from_settings = not policies
        """Whether the settings of an App must bring the policies."""
        self.policies: tuple[Policy, ...] = ()
        self.layers: tuple[Layer, ...] | None = None
        """None: there are no policies yet."""
        self.functions: weakref.WeakSet[GuardedFunction] = weakref.WeakSet()
        self.chaos_allowed = False
        self._compiler = Compiler()
        self._owner: object | None = None
        self._app_events: Events | None = None
        self._warned: set[str] = set()
        self._announced = ""
        self._blocks: tuple[tuple[Layer, ...], Callable[[dict[str, Any]], Guard]] | None = None
        if policies:
            self.prepare(policies)()
        switches.register(self)
        measure(self, self.registry)

    def controls(self) -> dict[str, tuple[Any, ...]]:
        """Return the controls of the policies by their kind, outermost first."""
        return self._compiler.controls()

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the wrapper of a user's function.

        :raises TypeError: it is a sync generator function
        :raises ValueError: a policy can't guard it
        """
        guarded = GuardedFunction(self.name, function, self)
        if self.layers is not None:
            guarded.check(self.policies)
            guarded.prepare(self.layers, self.context)()
        if switches.is_on("no_policies", self):
            guarded.bypass(on=True)
        self.functions.add(guarded)
        return guarded.function

    def guard(self, values: dict[str, Any]) -> Guard:
        """Return a guard for one block of code.

        :raises ValueError: a policy can't guard a block
        :raises CortenError: the policies come from settings, and the App has not started
        """
        if self.layers is None:
            raise CortenError(without_policies(self.name))
        if switches.is_on("no_policies", self):
            from corten.pipeline.blocks.guard import Blocks, Guard

            return Guard(Blocks(self.context, ()), {})
        if self._blocks is None or self._blocks[0] is not self.layers:
            from corten.pipeline.blocks.guard import Guard, blocks

            self._blocks = (self.layers, partial(Guard, blocks(self.policies, self.layers, self.context)))
        return self._blocks[1](values)

    def prepare(self, policies: Sequence[Policy]) -> Callable[[], None]:
        """Compile policies, and return the function that puts them in force.

        So an App replaces the policies of several pipelines together, or none.

        :raises ValueError: the policies don't fit a function of the pipeline
        """
        policies = tuple(policies)
        functions = list(self.functions)
        for function in functions:
            function.check(policies)
        effective = switches.effective(policies, self)
        has_chaos = any(isinstance(each, Chaos) for each in policies)
        if has_chaos and not self.chaos_allowed:
            from corten.pipeline.layers.chaos import without_chaos

            effective = without_chaos(effective)
        if len(effective) > 1:
            from corten.policies.combined.order_warnings import warn_of_order

            warn_of_order(self.name, effective, self._warned)
        compiled = self._compiler.prepare(effective, self.context)
        installs = [function.prepare(compiled.layers, compiled.context) for function in functions]

        def commit() -> None:
            self._compiler.commit(compiled)
            self.policies, self.layers = policies, compiled.layers
            self.context = replace(self.context, budget=compiled.context.budget)
            for breaker in self.controls().get("circuit_breaker", ()):
                breaker.bind(self._app_events, self.name)
            for install in installs:
                install()
            self._announced = self._announce(policies) if has_chaos else ""

        return commit

    def _announce(self, policies: Sequence[Policy]) -> str:
        from corten.pipeline.layers.chaos import announce

        return announce(self.name, policies, self._announced, allowed=self.chaos_allowed)

    def _prepare_again(self) -> None:
        if self.layers is not None:
            self.prepare(self.policies)()

    def share(self, breakers: NamedControls) -> None:
        """Share named breakers and bulkheads with an App's pipelines."""
        self.context = replace(self.context, breakers=breakers)

    def bind(
        self,
        *,
        owner: object,
        clock: Clock,
        registry: Registry,
        observers: Sequence[Observer] = (),
        tiers: Sequence[CacheTier] = (),
        limiters: Sequence[LimiterBackend] = (),
        events: Events | None = None,
        chaos: bool = False,
        background: Background | None = None,
        errors: ErrorHandler | None = None,
    ) -> None:
        """Bind the pipeline to one App; its counts move to the App's registry.

        :raises CortenError: it belongs to another App
        """
        if self._owner is not None and self._owner is not owner:
            raise CortenError(
                f"pipeline {self.name!r} belongs to another App already: make a pipeline of its own for each App"
            )
        self._owner = owner
        counts = self.context.counts
        if registry is not self.registry:
            measure(self, registry, self.registry)
            self.registry = registry
            counts = _core.PipelineCounts(self.name, registry.core, counts)
        self.events.bind(events, observers, errors)
        self._app_events = events
        self.chaos_allowed = chaos
        self.context = replace(
            self.context,
            clock=clock,
            counts=counts,
            observers=tuple(each for each in observers if each.call is not None),
            tiers=tuple(tiers),
            limiters=tuple(limiters),
            background=background,
        )
        self._prepare_again()

    def follow_switches(self) -> None:
        """Do as `corten.testing` switched for this pipeline, or for all."""
        self._prepare_again()
        for function in list(self.functions):
            function.bypass(on=switches.is_on("no_policies", self))

    def allow_chaos(self, *, allowed: bool) -> None:
        """Let chaos policies disturb calls from now on, or no longer."""
        if allowed != self.chaos_allowed:
            self.chaos_allowed = allowed
            self._prepare_again()
