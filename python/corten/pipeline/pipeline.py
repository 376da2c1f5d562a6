"""Pipeline: a name and policies in order, around any number of functions."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from msgspec.structs import replace

from corten import _core
from corten.clock import Clock
from corten.errors import CortenError
from corten.metrics.registry import Registry, default_registry
from corten.pipeline import switches
from corten.pipeline.compile.compiler import Compiler
from corten.pipeline.controls.named import NamedControls
from corten.pipeline.functions.function import GuardedFunction, without_policies
from corten.pipeline.functions.undecorated import Undecorated, awaited, plain
from corten.pipeline.layers import Layer, PipelineContext
from corten.pipeline.steering import Steered
from corten.pipeline.telemetry.events import PipelineEvents
from corten.pipeline.telemetry.metrics import measure
from corten.policies.chaos import Chaos
from corten.policies.policy import Policy

if TYPE_CHECKING:
    from corten.cache.tier import CacheTier
    from corten.error_handler import ErrorHandler
    from corten.events import Events
    from corten.pipeline.background import Background
    from corten.pipeline.blocks.guard import Guard
    from corten.plugins.descriptions import Observer
    from corten.rate_limit.backend import LimiterBackend

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_process_clock = Clock()
_process_breakers = NamedControls()


class Pipeline(Steered):
    """Policies in order, outermost first, compiled once and wrapped around any number of functions.

    Decorate functions and methods, async or plain, or use :meth:`call`. Without policies they come from the settings
    of the App it is added to. Limits, breakers and bulkheads are shared by all functions of the pipeline; a cache is
    each function's own.

    :param name: in errors, metrics and settings
    :param registry: where its metrics go; the process's by default, the App's once it is bound
    :param clock: what its times mean; the machine's by default, the App's once it is bound
    :raises ValueError: no name, or more policies than fit
    """

    def __init__(
        self, name: str, *policies: Policy, registry: Registry | None = None, clock: Clock | None = None
    ) -> None:
        if not isinstance(cast("object", name), str) or not name.strip():
            raise ValueError('a pipeline needs a name, which errors, metrics and settings say: Pipeline("users", ...)')
        self.name = name
        self.clock = clock if clock is not None else _process_clock
        self.registry = registry if registry is not None else default_registry()
        self._policies: tuple[Policy, ...] | None = policies or None
        self._from_settings = not policies
        self._owner: object | None = None
        self._observers: tuple[Observer, ...] = ()
        self._tiers: tuple[CacheTier, ...] = ()
        self._limiters: tuple[LimiterBackend, ...] = ()
        self._events: Events | None = None
        self._background: Background | None = None
        self._compiler = Compiler()
        self._breakers = _process_breakers
        self._counts = _core.PipelineCounts(name, self.registry.core)
        self._call_events = PipelineEvents(name)
        self._warned: set[str] = set()
        self._chaos_allowed = False
        self._announced = ""
        self._layers: tuple[Layer, ...] | None = None
        self._blocks: tuple[tuple[Layer, ...], Callable[[dict[str, Any]], Guard]] | None = None
        self._functions: weakref.WeakSet[GuardedFunction] = weakref.WeakSet()
        self._undecorated = Undecorated()
        if policies:
            self.configure(policies)
        switches.register(self)
        measure(self, self.registry)

    def __repr__(self) -> str:
        policies = "policies from the settings" if self._policies is None else ", ".join(map(repr, self._policies))
        return f"<Pipeline {self.name!r}: {policies}>"

    @property
    def from_settings(self) -> bool:
        """Whether it was made without policies, so that settings must bring them."""
        return self._from_settings

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies in order, outermost first; empty before settings gave them."""
        return self._policies or ()

    @overload
    def __call__(self, function: staticmethod[P, R]) -> staticmethod[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: classmethod[T, P, R]) -> classmethod[T, P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Callable[P, R]: ...

    def __call__(self, function: Any) -> Any:
        """Guard a function: gives one with the same signature.

        An ``async def``, a function annotated as returning an awaitable, an async generator function, or a plain one;
        of a ``staticmethod`` or ``classmethod`` the function in it. Plain functions run without a loop: they can't have
        a time limit, and where a policy would wait they raise on an event loop's thread. Async generators are admitted
        before their first item and held until their last; what can't guard a block can't guard them.

        :raises TypeError: a plain generator function, or what can't be called
        :raises ValueError: a policy can't guard the function: a limit's ``key`` is no parameter of it, it is plain and
            there is a `Timeout`, it is an async generator and there is a `Retry`
        """
        if isinstance(function, staticmethod | classmethod):
            wrapped = cast("staticmethod[..., Any] | classmethod[Any, ..., Any]", function)
            return type(wrapped)(self(wrapped.__func__))
        if not callable(function):
            raise TypeError(f"pipeline {self.name!r}: {function!r} can't be called; it guards functions")
        guarded = GuardedFunction(self.name, function, self)
        if self._layers is not None:
            guarded.check(self.policies)
            guarded.prepare(self._layers, self._context())()
        if switches.is_on("no_policies", self):
            guarded.bypass(on=True)
        self._functions.add(guarded)
        # The function lives as long as somebody holds it; what installs new policies must live as long as that.
        return guarded.function

    async def call(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function under the policies without decorating it.

        Its wrapper is kept for the next time, for the 256 functions called last.

        :raises TypeError: an async generator function, which has to be decorated
        :raises CortenError: the policies come from settings, and the App has not started
        """
        found = self._undecorated.wrapper(function, "call", lambda each: self(awaited(self.name, each)))
        result: R = await found(*args, **kwargs)
        return result

    def call_sync(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a plain function under the policies without decorating it: a lambda, a partial, somebody else's.

        Its wrapper is kept for the next time, for the 256 functions called last.

        :raises TypeError: what it returns has to be awaited: that is for :meth:`call`
        :raises ValueError: the policies can't guard a plain function
        :raises CortenError: a policy would wait, in the thread of an event loop; or the policies come from settings,
            and the App has not started
        """
        found = self._undecorated.wrapper(function, "call_sync", lambda each: self(plain(self.name, each)))
        result: R = found(*args, **kwargs)
        return result

    def guard(self, /, **values: Any) -> Guard:
        """Guard a block of code: ``async with pipeline.guard():``, or ``with pipeline.guard():`` in a thread.

        Rate limits, circuit breakers, bulkheads, adaptive limits, chaos and, around ``async with``, time limits hold
        for the whole block; an error that leaves it is a failure to the breaker. Policies that repeat a call or give a
        result in its place can't guard a block.

        :param values: what keyed limits, costs and priorities are told, by the parameter's name:
            ``pipeline.guard(tenant="a")``
        :raises ValueError: a policy can't guard a block
        :raises CortenError: the policies come from settings, and the App has not started
        """
        if self._layers is None:
            raise CortenError(without_policies(self.name))
        if switches.is_on("no_policies", self):
            from corten.pipeline.blocks.guard import Blocks, Guard

            return Guard(Blocks(self._context(), ()), {})
        if self._blocks is None or self._blocks[0] is not self._layers:
            self._blocks = (self._layers, self._guarding(self._layers))
        return self._blocks[1](values)

    def _guarding(self, layers: tuple[Layer, ...]) -> Callable[[dict[str, Any]], Guard]:
        from corten.pipeline.blocks.guard import Guard, blocks

        return partial(Guard, blocks(self.policies, layers, self._context()))

    def configure(self, policies: Sequence[Policy]) -> None:
        """Set or replace the policies, all at once; calls under way end as they began.

        Limiters, breakers and bulkheads keep their state where the new policies have one of the same word at the same
        place among its like; caches their results where key, version and eviction stay.

        :raises ValueError: the policies don't fit a function of the pipeline; then nothing has changed
        """
        self.prepare(policies)()

    def prepare(self, policies: Sequence[Policy]) -> Callable[[], None]:
        """What :meth:`configure` does, in two steps: nothing changes before what is given back is called.

        So the policies of several pipelines can be replaced together, or none.

        :raises ValueError: the policies don't fit a function of the pipeline
        """
        policies = tuple(policies)
        functions = list(self._functions)
        for guarded in functions:
            guarded.check(policies)
        effective = switches.effective(policies, self)
        harmful = any(isinstance(each, Chaos) for each in policies)
        if harmful and not self._chaos_allowed:
            from corten.pipeline.layers.chaos import spared

            effective = spared(effective)
        if len(effective) > 1:
            from corten.policies.order import warn_of_order

            warn_of_order(self.name, effective, self._warned)
        context = self._context()
        compiled = self._compiler.prepare(effective, context)
        context = replace(context, budget=compiled.budget)
        installs = [guarded.prepare(compiled.layers, context) for guarded in functions]

        def commit() -> None:
            self._compiler.commit(compiled)
            self._policies, self._layers = policies, compiled.layers
            for breaker in self._compiler.state_of("circuit_breaker"):
                breaker.tell(self._events, self.name)
            for install in installs:
                install()
            self._announced = self._announce(policies) if harmful else ""

        return commit

    def _announce(self, policies: Sequence[Policy]) -> str:
        from corten.pipeline.layers.chaos import announce

        return announce(self.name, policies, self._announced, allowed=self._chaos_allowed)

    def share(self, breakers: NamedControls) -> None:
        """Have breakers and bulkheads with a name in common with an App's pipelines; from the next policies on."""
        self._breakers = breakers

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
        """Make it one App's: its clock, its metrics, its plugins, its events and errors, and whether it allows chaos.

        What was counted so far goes on in its registry.

        :raises CortenError: it is another's already
        """
        if self._owner is not None and self._owner is not owner:
            raise CortenError(
                f"pipeline {self.name!r} belongs to another App already: make a pipeline of its own for each App"
            )
        self._owner = owner
        self.clock = clock
        if registry is not self.registry:
            measure(self, registry, self.registry)
            self.registry = registry
            self._counts = _core.PipelineCounts(self.name, registry.core, self._counts)
        self._observers = tuple(each for each in observers if each.call is not None)
        self._call_events.bind(events, observers, errors)
        self._tiers = tuple(tiers)
        self._limiters = tuple(limiters)
        self._events = events
        self._chaos_allowed = chaos
        self._background = background
        if self._policies is not None:
            self.configure(self._policies)

    def follow_switches(self) -> None:
        """Do as `corten.testing` switched for this pipeline, or for all."""
        if self._policies is not None:
            self.configure(self._policies)
        for guarded in list(self._functions):
            guarded.bypass(on=switches.is_on("no_policies", self))

    @property
    def chaos_allowed(self) -> bool:
        """Whether its chaos policies do harm."""
        return self._chaos_allowed

    def allow_chaos(self, allowed: bool = True) -> None:
        """Let the chaos policies do harm, or no longer, in calls from now on.

        They do none unless it is allowed: here, or by ``[chaos] allowed = true`` in the settings of the App, which
        holds from the App's start on. Where it is not, they are not even in the way.
        """
        if allowed != self._chaos_allowed:
            self._chaos_allowed = allowed
            if self._policies is not None:
                self.configure(self._policies)

    def _context(self) -> PipelineContext:
        return PipelineContext(
            self.name,
            self.clock,
            self._counts,
            self._call_events,
            self._breakers,
            self._observers,
            self._tiers,
            self._compiler.budget,
            self._background,
            limiters=self._limiters,
        )
