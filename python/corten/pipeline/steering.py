"""What can be seen and steered of a pipeline while it runs: handles of its policies, and its statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from corten.policies.cache import Cache
from corten.policies.policy import Policy

if TYPE_CHECKING:
    from weakref import WeakSet

    from corten import _core
    from corten.pipeline.compile.compiler import Compiler
    from corten.pipeline.controls.adaptive_limit import AdaptiveLimitControl
    from corten.pipeline.controls.bulkhead import BulkheadControl
    from corten.pipeline.controls.cache import CacheControl, SyncCacheControl
    from corten.pipeline.controls.circuit_breaker import BreakerControl
    from corten.pipeline.controls.rate_limit import RateLimitControl
    from corten.pipeline.functions.function import GuardedFunction
    from corten.pipeline.telemetry.events import PipelineEvents
    from corten.pipeline.telemetry.statistics import PipelineStatistics

P = ParamSpec("P")
R = TypeVar("R")


class Steered(ABC):
    """The part of `corten.Pipeline` that looks at what it holds and changes it by hand."""

    name: str
    _compiler: Compiler
    _counts: _core.PipelineCounts
    _call_events: PipelineEvents
    _functions: WeakSet[GuardedFunction]

    @property
    @abstractmethod
    def policies(self) -> tuple[Policy, ...]:
        """The policies in order, outermost first."""

    def cache(self, function: Callable[P, Awaitable[R]]) -> CacheControl[P, R]:
        """The cache of an async function: to look into it, fill it, and have it forget.

        :param function: one that this pipeline guards; a method of an instance stands for the method with it
        :raises ValueError: the pipeline does not guard it, or it is a plain one
        :raises CortenError: there is no `Cache` among the policies
        """
        from corten.pipeline.controls.cache import cache_control

        return cache_control(self.name, list(self._functions), function)

    def cache_sync(self, function: Callable[P, R]) -> SyncCacheControl[P, R]:
        """The cache of a plain function: the same verbs, without awaiting.

        :raises ValueError: the pipeline does not guard it, or it is an async one
        :raises CortenError: there is no `Cache` among the policies
        """
        from corten.pipeline.controls.cache import sync_cache_control

        return sync_cache_control(self.name, list(self._functions), function)

    @property
    def breakers(self) -> tuple[BreakerControl, ...]:
        """Its circuit breakers in the order of the policies, to be opened, closed and disabled by hand."""
        return self._compiler.state_of("circuit_breaker")

    @property
    def adaptive_limits(self) -> tuple[AdaptiveLimitControl, ...]:
        """Its adaptive limits in the order of the policies, to be steered while they run."""
        from corten.pipeline.controls.adaptive_limit import AdaptiveLimitControl

        return tuple(AdaptiveLimitControl(limit) for limit in self._compiler.state_of("adaptive_limit"))

    @property
    def bulkheads(self) -> tuple[BulkheadControl, ...]:
        """Its bulkheads in the order of the policies, to be resized while it runs."""
        return self._compiler.state_of("bulkhead")

    @property
    def rate_limits(self) -> tuple[RateLimitControl, ...]:
        """Its rate limits, in the order of the policies, to be looked at and steered."""
        from corten.pipeline.controls.rate_limit import RateLimitControl

        return tuple(RateLimitControl(limiter) for limiter in self._compiler.state_of("rate_limit"))

    def statistics(self) -> PipelineStatistics:
        """What it has counted since it was made, and how its breakers and bulkheads stand."""
        from corten.pipeline.controls.cache import statistics_of
        from corten.pipeline.controls.hedge import hedges_of
        from corten.pipeline.telemetry.statistics import PipelineStatistics
        from corten.policies.chaos import ChaosStatistics
        from corten.policies.retry_budget import RetryBudgetStatistics

        successes, errors, timeouts, cancelled, retries, refused = self._counts.totals()
        hits = self._counts.hit_count()
        refusals = dict(refused)
        ended = successes + errors + timeouts + cancelled + sum(refusals.values())
        budget = self._compiler.budget
        cached = bool(self.policies) and isinstance(self.policies[0], Cache)
        return PipelineStatistics(
            calls=ended + hits,
            successes=successes,
            errors=errors,
            timeouts=timeouts,
            cancelled=cancelled,
            refused=refusals,
            hits=hits,
            misses=ended if cached else 0,
            retries=retries,
            hedged=self._call_events.counts("hedged"),
            degraded=self._call_events.counts("degraded"),
            injected=self._call_events.counts("injected"),
            breakers=tuple(breaker.statistics() for breaker in self.breakers),
            bulkheads=tuple(bulkhead.statistics() for bulkhead in self.bulkheads),
            adaptive_limits=tuple(limit.statistics() for limit in self.adaptive_limits),
            chaos=tuple(ChaosStatistics(*chaos.statistics()) for chaos in self._compiler.state_of("chaos")),
            hedges=hedges_of(self._functions),
            retry_budget=None if budget is None else RetryBudgetStatistics(*budget.statistics(self._counts)),
            rate_limits=tuple(limit.statistics(thorough=False) for limit in self.rate_limits),
            caches=statistics_of(self._functions),
        )
