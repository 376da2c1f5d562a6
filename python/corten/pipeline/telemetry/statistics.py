"""Statistics of pipelines."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec

from corten.cache.statistics import CacheStatistics
from corten.metrics.measured import counter, gauge
from corten.metrics.snapshot import Attributes
from corten.policies.adaptive_limit import AdaptiveLimit, AdaptiveLimitStatistics
from corten.policies.bulkhead import Bulkhead, BulkheadStatistics
from corten.policies.cache import Cache
from corten.policies.chaos import Chaos, ChaosStatistics
from corten.policies.circuit_breaker import BreakerStatistics, CircuitBreaker
from corten.policies.fields.struct import PolicyFields
from corten.policies.hedge import HedgeStatistics
from corten.policies.rate_limit import RateLimit, RateLimitStatistics
from corten.policies.retry_budget import RetryBudgetStatistics

if TYPE_CHECKING:
    from corten.pipeline.runtime import PipelineRuntime


class FunctionCacheStatistics(msgspec.Struct, frozen=True):
    """Counts of one function's cache since it was made."""

    function: str
    """The function's qualified name."""
    results: CacheStatistics
    """Results in this process: hits, misses, evictions, stale results, refreshes, invalidations."""
    under_way: Annotated[int, gauge("Calls that are being made now, for whoever wants their results")]
    joined: Annotated[int, counter("Callers who got what a call gave that another one had begun")]
    shared_hits: Annotated[int, counter("Results found in the shared tier")]
    soft_timeouts: Annotated[int, counter("Stale results given because a call took longer than soft_timeout")]
    hard_timeouts: Annotated[int, counter("Calls that were given up after hard_timeout")]
    background_errors: Annotated[int, counter("Calls in the App's background that failed")]
    callback_errors: Annotated[int, counter("Results not kept because a function of the policy failed on them")]
    place: int = 0
    """Index among the caches around the function, outermost first."""


class PipelineStatistics(msgspec.Struct, frozen=True):
    """Counts of a pipeline, and statistics of its policies, outermost first."""

    calls: int
    """Calls that have ended: the sum of all outcomes."""
    successes: int
    errors: int
    timeouts: int
    """Calls that ended with a time limit of the pipeline."""
    cancelled: int
    refused: Mapping[str, int]
    """Calls that ended with a refusal, by the kind of policy."""
    hits: int
    """Calls that a cache answered."""
    misses: int
    retries: int
    """Attempts beyond the first ones."""
    hedged: Mapping[str, int] = {}
    """Further attempts begun beside a slow one, by the kind of policy."""
    degraded: Mapping[str, int] = {}
    """Calls that got a fallback's value, or a stale result, by the kind of policy."""
    injected: Mapping[str, int] = {}
    """Calls that were disturbed on purpose, by the kind of policy."""
    breakers: Annotated[tuple[BreakerStatistics, ...], CircuitBreaker] = ()
    bulkheads: Annotated[tuple[BulkheadStatistics, ...], Bulkhead] = ()
    adaptive_limits: Annotated[tuple[AdaptiveLimitStatistics, ...], AdaptiveLimit] = ()
    hedges: tuple[HedgeStatistics, ...] = ()
    """By function; functions of one name are added up."""
    retry_budget: RetryBudgetStatistics | None = None
    """The budget of all retries and hedges; None: no policy has one."""
    chaos: Annotated[tuple[ChaosStatistics, ...], Chaos] = ()
    """Empty where chaos is not allowed."""
    rate_limits: Annotated[tuple[RateLimitStatistics, ...], RateLimit] = ()
    caches: tuple[FunctionCacheStatistics, ...] = ()
    """By function and policy; functions of one name are added up."""

    def by_policy(self) -> Iterator[tuple[str, Attributes, msgspec.Struct]]:
        """Yield the kind, attributes and statistics of each policy."""
        for field, policy in _policy_fields():
            found = getattr(self, field)
            for place, each in enumerate(found):
                yield policy.kind, _place(place, len(found)), each
        for hedge in self.hedges:
            yield "hedge", (("function", hedge.function),), hedge
        if self.retry_budget is not None:
            yield "retry_budget", (), self.retry_budget
        places = 1 + max((cache.place for cache in self.caches), default=0)
        for cache in self.caches:
            attributes = (("function", cache.function), *_place(cache.place, places))
            yield "cache", attributes, cache
            yield "cache", attributes, cache.results


def _place(place: int, count: int) -> Attributes:
    """Return the index of a policy as an attribute, among several."""
    return (("place", str(place)),) if count > 1 else ()


@functools.cache
def _policy_fields() -> tuple[tuple[str, type[PolicyFields]], ...]:
    """Return the fields with a policy in their annotation, and the policy."""
    return tuple(
        (field, each)
        for field, annotation in typing.get_type_hints(PipelineStatistics, include_extras=True).items()
        for each in getattr(annotation, "__metadata__", ())
        if isinstance(each, type) and issubclass(each, PolicyFields)
    )


def statistics_of(pipeline: PipelineRuntime) -> PipelineStatistics:
    """Return the statistics of a pipeline and of its policies."""
    from corten.pipeline.controls.cache import statistics_of as caches_of
    from corten.pipeline.controls.hedge import hedges_of

    counts, events, budget = pipeline.context.counts, pipeline.events, pipeline.context.budget
    successes, errors, timeouts, cancelled, retries, refused = counts.totals()
    refusals = dict(refused)
    hits = counts.hit_count()
    ended = successes + errors + timeouts + cancelled + sum(refusals.values())
    cached = bool(pipeline.policies) and isinstance(pipeline.policies[0], Cache)
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
        hedged=events.counts("hedged"),
        degraded=events.counts("degraded"),
        injected=events.counts("injected"),
        hedges=hedges_of(pipeline.functions),
        retry_budget=None if budget is None else RetryBudgetStatistics(*budget.statistics(counts)),
        caches=caches_of(pipeline.functions),
        **{
            field: tuple(each.quick_statistics() for each in pipeline.state_of(policy.kind))
            for field, policy in _policy_fields()
        },
    )
