"""Pipeline: a name and policies in order, around any number of functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from corten.pipeline.functions.undecorated import Undecorated, awaited, sync
from corten.pipeline.runtime import PipelineRuntime

if TYPE_CHECKING:
    from corten.clock import Clock
    from corten.metrics.registry import Registry
    from corten.pipeline.blocks.guard import Guard
    from corten.pipeline.controls.adaptive_limit import AdaptiveLimitControl
    from corten.pipeline.controls.bulkhead import BulkheadControl
    from corten.pipeline.controls.cache import CacheControl, SyncCacheControl
    from corten.pipeline.controls.circuit_breaker import BreakerControl
    from corten.pipeline.controls.rate_limit import RateLimitControl
    from corten.pipeline.telemetry.statistics import PipelineStatistics
    from corten.policies.combined.policy import Policy

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Pipeline:
    """Policies in order, outermost first, around any number of functions.

    Decorate functions and methods, async or sync, or use :meth:`call`. Without policies they come from the settings
    of the App it is added to. Limits, breakers and bulkheads are shared by all functions of the pipeline; each
    function has a cache of its own.

    :param name: in errors, metrics and settings
    :param registry: where its metrics go; the process's by default, the App's once it is bound
    :param clock: what its times mean; the machine's by default, the App's once it is bound
    :raises ValueError: the name is empty, or there are more policies than fit
    """

    def __init__(
        self, name: str, *policies: Policy, registry: Registry | None = None, clock: Clock | None = None
    ) -> None:
        if not isinstance(cast("object", name), str) or not name.strip():
            raise ValueError('a pipeline needs a name, which errors, metrics and settings say: Pipeline("users", ...)')
        self.name = name
        self._runtime = PipelineRuntime(name, policies, registry, clock)
        self._undecorated = Undecorated()

    def __repr__(self) -> str:
        unset = self._runtime.layers is None
        policies = "policies from the settings" if unset else ", ".join(map(repr, self.policies))
        return f"<Pipeline {self.name!r}: {policies}>"

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies in order, outermost first; empty before settings gave them."""
        return self._runtime.policies

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
        """Guard a function: return one with the same signature.

        It may be an ``async def``, a function annotated as returning an awaitable, an async generator function, a sync
        function, or a ``staticmethod`` or ``classmethod`` with one of these inside. Sync functions run without a loop:
        they can't have a time limit, and where a policy would wait they raise on an event loop's thread. Async
        generators are admitted before their first item and held until their last; a policy that can't guard a block
        can't guard them.

        :raises TypeError: it is a sync generator function, or can't be called
        :raises ValueError: a policy can't guard the function: a limit's ``key`` is no parameter of it, it is sync and
            there is a `Timeout`, it is an async generator and there is a `Retry`
        """
        if isinstance(function, staticmethod | classmethod):
            wrapped = cast("staticmethod[..., Any] | classmethod[Any, ..., Any]", function)
            return type(wrapped)(self(wrapped.__func__))
        if not callable(function):
            raise TypeError(f"pipeline {self.name!r}: {function!r} can't be called; it guards functions")
        return self._runtime.wrap(function)

    async def call(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function under the policies without decorating it.

        Wrappers of the 256 functions called last are kept.

        :raises TypeError: it is an async generator function, which has to be decorated
        :raises CortenError: the policies come from settings, and the App has not started
        """
        found = self._undecorated.wrapper(function, "call", lambda each: self(awaited(self.name, each)))
        result: R = await found(*args, **kwargs)
        return result

    def call_sync(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a sync function under the policies without decorating it.

        Wrappers of the 256 functions called last are kept.

        :raises TypeError: its result has to be awaited: use :meth:`call`
        :raises ValueError: the policies can't guard a sync function
        :raises CortenError: a policy would wait, in the thread of an event loop; or the policies come from settings,
            and the App has not started
        """
        found = self._undecorated.wrapper(function, "call_sync", lambda each: self(sync(self.name, each)))
        result: R = found(*args, **kwargs)
        return result

    def guard(self, /, **values: Any) -> Guard:
        """Guard a block of code: ``async with pipeline.guard():``.

        In a thread it is ``with pipeline.guard():``. Rate limits, circuit breakers, bulkheads, adaptive limits, chaos
        and, with ``async with``, time limits hold for the whole block; the breaker counts an error that leaves it as a
        failure. Policies that repeat a call or replace its result can't guard a block.

        :param values: for keyed limits, costs and priorities, by the parameter's name: ``pipeline.guard(tenant="a")``
        :raises ValueError: a policy can't guard a block
        :raises CortenError: the policies come from settings, and the App has not started
        """
        return self._runtime.guard(values)

    def configure(self, policies: Sequence[Policy]) -> None:
        """Set or replace the policies, all at once.

        Calls under way end as they began. Limiters, breakers and bulkheads keep their state where the new policies have
        one of the same kind at the same position among its like; caches keep their results where key, version and
        eviction stay.

        :raises ValueError: the policies don't fit a function of the pipeline; then nothing has changed
        """
        self._runtime.prepare(policies)()

    @property
    def chaos_allowed(self) -> bool:
        """Whether its chaos policies disturb calls."""
        return self._runtime.chaos_allowed

    def allow_chaos(self, allowed: bool = True) -> None:
        """Let the chaos policies disturb calls from now on, or no longer.

        They do nothing unless it is allowed: here, or by ``[chaos] allowed = true`` in the settings of the App, which
        holds from the App's start on. Where it is not, they cost a call nothing.
        """
        self._runtime.allow_chaos(allowed=allowed)

    def cache(self, function: Callable[P, Awaitable[R]]) -> CacheControl[P, R]:
        """Return the cache of an async function, to read, fill or invalidate.

        :param function: one that this pipeline guards; a method of an instance stands for the method with it
        :raises ValueError: the pipeline does not guard it, or it is a sync function
        :raises CortenError: there is no `Cache` among the policies
        """
        from corten.pipeline.controls.cache import cache_control

        return cache_control(self.name, list(self._runtime.functions), function)

    def cache_sync(self, function: Callable[P, R]) -> SyncCacheControl[P, R]:
        """Return the cache of a sync function: the same methods, without ``await``.

        :raises ValueError: the pipeline does not guard it, or it is an async function
        :raises CortenError: there is no `Cache` among the policies
        """
        from corten.pipeline.controls.cache import sync_cache_control

        return sync_cache_control(self.name, list(self._runtime.functions), function)

    @property
    def breakers(self) -> tuple[BreakerControl, ...]:
        """Circuit breakers, outermost first, to open, close and disable by hand."""
        return self._runtime.controls().get("circuit_breaker", ())

    @property
    def bulkheads(self) -> tuple[BulkheadControl, ...]:
        """Bulkheads, outermost first, to resize."""
        return self._runtime.controls().get("bulkhead", ())

    @property
    def adaptive_limits(self) -> tuple[AdaptiveLimitControl, ...]:
        """Adaptive limits, outermost first, to set and reset."""
        return self._runtime.controls().get("adaptive_limit", ())

    @property
    def rate_limits(self) -> tuple[RateLimitControl, ...]:
        """Rate limits, outermost first, to look at and change."""
        return self._runtime.controls().get("rate_limit", ())

    def statistics(self) -> PipelineStatistics:
        """Return its counts, and the statistics of its policies."""
        from corten.pipeline.telemetry.statistics import policy_statistics, statistics_of

        return statistics_of(self._runtime, policy_statistics(self._runtime))


def runtime_of(pipeline: Pipeline) -> PipelineRuntime:
    """Return the inside of a pipeline, which Apps bind and tests switch."""
    return pipeline._runtime  # pyright: ignore[reportPrivateUsage]
