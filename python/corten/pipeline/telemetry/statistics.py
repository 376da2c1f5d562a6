"""Statistics of pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from corten.cache.statistics import CacheStatistics
from corten.metrics.measured import counter, gauge
from corten.policies.adaptive_limit import AdaptiveLimit, AdaptiveLimitStatistics
from corten.policies.bulkhead import Bulkhead, BulkheadStatistics
from corten.policies.cache import Cache
from corten.policies.chaos import Chaos, ChaosStatistics
from corten.policies.circuit_breaker import BreakerStatistics, CircuitBreaker
from corten.policies.hedge import HedgeStatistics
from corten.policies.rate_limit import RateLimit
from corten.policies.retry_budget import RetryBudgetStatistics
from corten.rate_limit.statistics import RateLimitStatistics

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
    breakers: tuple[BreakerStatistics, ...] = ()
    bulkheads: tuple[BulkheadStatistics, ...] = ()
    adaptive_limits: tuple[AdaptiveLimitStatistics, ...] = ()
    hedges: tuple[HedgeStatistics, ...] = ()
    """By function; functions of one name are added up."""
    retry_budget: RetryBudgetStatistics | None = None
    """The budget of all retries and hedges; None: no policy has one."""
    chaos: tuple[ChaosStatistics, ...] = ()
    """Empty where chaos is not allowed."""
    rate_limits: tuple[RateLimitStatistics, ...] = ()
    caches: tuple[FunctionCacheStatistics, ...] = ()
    """By function and policy; functions of one name are added up."""


def policy_statistics(pipeline: PipelineRuntime) -> dict[str, tuple[Any, ...]]:
    """Return the statistics of all policies with a control, by their kind."""
    return {kind: tuple(each.quick_statistics() for each in found) for kind, found in pipeline.controls().items()}


def statistics_of(pipeline: PipelineRuntime, by_kind: Mapping[str, tuple[Any, ...]]) -> PipelineStatistics:
    """Return the statistics of a pipeline, with those of `policy_statistics`."""
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
        breakers=by_kind.get(CircuitBreaker.kind, ()),
        bulkheads=by_kind.get(Bulkhead.kind, ()),
        adaptive_limits=by_kind.get(AdaptiveLimit.kind, ()),
        chaos=by_kind.get(Chaos.kind, ()),
        rate_limits=by_kind.get(RateLimit.kind, ()),
    )
