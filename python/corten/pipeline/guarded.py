"""One function under a pipeline: its wrapper, and what stands between that and the user's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from corten._core import Call, PipelineCounts
from corten.cache.tier import CacheTier
from corten.clock import Clock
from corten.errors import CortenError
from corten.pipeline.absent import MISS
from corten.pipeline.blocking import run_blocking_with
from corten.pipeline.caching import FunctionCache
from corten.pipeline.carry_out import carry_out_with
from corten.pipeline.compile import Layer, Stages
from corten.pipeline.details import CallDetails
from corten.pipeline.form import Form, form_of, name_of, result_type
from corten.pipeline.tier import SharedResults
from corten.pipeline.traceback import TITLE
from corten.pipeline.wrapper import Wrapper
from corten.policies.cache import Cache
from corten.policies.policy import Policy
from corten.policies.rate_limit import RateLimit
from corten.policies.timeout import Timeout

if TYPE_CHECKING:
    from collections.abc import Generator

    from corten.plugins.descriptions import Observer


class Guarded:
    """A function of the user's and the one that stands in for it.

    The outermost layer is the wrapper itself; each further one is a wrapper between it and the function.
    """

    def __init__(self, pipeline: str, function: Callable[..., Any]) -> None:
        self._pipeline = pipeline
        self._original = function
        self._form: Form = form_of(function)
        self._outer = self._wrapper()
        self._outer.become("unconfigured", {"refuse": self._refuse})
        self._caches: tuple[FunctionCache, ...] = ()
        self.function = self._outer.function
        # Whoever holds the function holds this as well, so that new policies reach it.
        self._outer.keep(self)

    def _refuse(self) -> NoReturn:
        raise CortenError(
            f"pipeline {self._pipeline!r} has no policies yet: they come from the settings when its App starts"
        )

    def _wrapper(self) -> Wrapper:
        return Wrapper(self._original, self._form, f"{TITLE} {self._pipeline}: {name_of(self._original)}")

    def check(self, policies: Sequence[Policy]) -> None:
        """Whether these policies can guard the function.

        :raises ValueError: they can't
        """
        for policy in policies:
            if isinstance(policy, Timeout) and self._form.kind == "plain":
                raise ValueError(
                    f"pipeline {self._pipeline!r}: {name_of(self._original)} is a plain function, which nothing can "
                    "interrupt: leave the timeout out, or make it async"
                )
            if isinstance(policy, RateLimit) and policy.key is not None and policy.key not in self._form.names:
                raise ValueError(
                    f"pipeline {self._pipeline!r}: rate_limit counts by {policy.key!r}, which is no parameter of "
                    f"{name_of(self._original)}: it has {', '.join(self._form.names) or 'none'}"
                )

    def install(
        self,
        layers: tuple[Layer, ...],
        clock: Clock,
        counts: PipelineCounts,
        observers: Sequence[Observer],
        tiers: Sequence[CacheTier],
    ) -> None:
        """Put layers between the wrapper and the function; from the next call on."""
        target = self._called()
        caches: list[FunctionCache] = []
        previous = list(self._caches)
        for index in reversed(range(len(layers))):
            layer = layers[index]
            wrapper = self._outer if index == 0 else self._wrapper()
            if isinstance(layer, Cache):
                text, names, keys = self._caching(layer, index == 0, clock, counts, previous, tiers, caches)
                caches[0].inner = target
            else:
                text, names, keys = self._staged(layer, clock, observers)
                names["function"] = target
            wrapper.become(text, names, keys)
            target = wrapper.function
        self._caches = tuple(caches)

    def _called(self) -> Callable[..., Any]:
        """The function in a form whose coroutine can be driven: what else is awaitable is made once admitted."""
        function = self._original
        if self._form.kind != "awaitable":
            return function

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return call

    def _caching(
        self,
        policy: Cache,
        outermost: bool,
        clock: Clock,
        counts: PipelineCounts,
        previous: list[FunctionCache],
        tiers: Sequence[CacheTier],
        caches: list[FunctionCache],
    ) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        old = previous.pop() if previous else None
        cache = FunctionCache(self._original, policy, clock, counts, outermost=outermost, previous=old)
        caches.insert(0, cache)
        if policy.shared and tiers and self._form.kind != "plain":
            prefix = f"{self._pipeline}:{self._original.__module__}.{name_of(self._original)}"
            result = result_type(self._original, self._form.kind)
            cache.shared = SharedResults(tiers[0], prefix, policy.version, result, policy.ttl)
        names = {"lookup": cache.lookup, "MISS": MISS}
        if self._form.kind == "plain":
            return "blocking_cached", {**names, "on_miss": cache.on_blocking_miss}, ()
        return "cached", {**names, "on_miss": cache.on_miss}, ()

    def _staged(
        self, layer: Stages, clock: Clock, observers: Sequence[Observer]
    ) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        names: dict[str, Any] = {}
        observed = bool(observers) and layer.counts_calls
        if observed:
            names["observe"] = self._observation(observers)
        if self._form.kind == "plain":
            names["run_blocking"] = run_blocking_with(self._pipeline, clock, layer)
            return "blocking_observed" if observed else "blocking", names, layer.keys
        names["run"] = layer.core.run_keyed if layer.keys else layer.core.run
        names["Call"], names["type"] = Call, type
        names["carry_out"] = carry_out_with(self._pipeline, clock, layer)
        return "observed" if observed else "run", names, layer.keys

    def _observation(self, observers: Sequence[Observer]) -> Callable[[], AbstractContextManager[object]]:
        details = CallDetails(self._pipeline, name_of(self._original))
        calls = [each.call for each in observers if each.call is not None]
        if len(calls) == 1:
            only = calls[0]
            return lambda: only(details)

        @contextmanager
        def observe() -> Generator[None]:
            with ExitStack() as stack:
                for call in calls:
                    stack.enter_context(call(details))
                yield

        return observe
