"""What a pipeline has counted: plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec

from corten.cache.statistics import CacheStatistics
from corten.events.event import BreakerState
from corten.metrics.measured import counter, gauge, one_of
from corten.metrics.snapshot import Attributes
from corten.policies.cache import Cache
from corten.policies.chaos import ChaosStatistics
from corten.policies.hedge import HedgeStatistics
from corten.policies.rate_limit import RateLimitStatistics
from corten.policies.retry_budget import RetryBudgetStatistics

if TYPE_CHECKING:
    from corten.pipeline.runtime import PipelineRuntime


class BreakerStatistics(msgspec.Struct, frozen=True):
    """A circuit breaker."""

    state: Annotated[BreakerState, one_of("Whether it is in this state; open until a call comes after its wait")]
    failures: Annotated[int, gauge("Failures in a row, while open or half open those that it opened with")]
    opened: Annotated[int, counter("How often it opened")]
    retry_after: Annotated[float | None, gauge("Seconds until it is half open; None unless it is open", "seconds")]
    name: str = ""
    """The name by which pipelines share it; empty where it is one pipeline's own."""
    calls: Annotated[int, gauge("Calls in the window, while open those that it opened with; 0 without a window")] = 0
    failed: Annotated[int, gauge("Calls in the window that failed")] = 0
    slow: Annotated[int, gauge("Calls in the window that were slow")] = 0
    failure_rate: Annotated[float | None, gauge("The part of them that failed; None where there are none")] = None
    slow_rate: Annotated[float | None, gauge("The part of them that were slow; None where there are none")] = None
    refused: Annotated[int, counter("Calls that it refused")] = 0
    reason: str = ""
    """Why it opened the last time: ``5 failures in a row``; empty where it never did."""
    last_failure: str = ""
    """The last error that counted, in words and without secrets."""


class BulkheadStatistics(msgspec.Struct, frozen=True):
    """A bulkhead: how it stands, and what it has seen since it was made."""

    running: Annotated[int, gauge("Calls that hold a place")]
    waiting: Annotated[int, gauge("Calls in the queue")]
    max_concurrent: Annotated[int, gauge("Places there are")]
    max_waiting: Annotated[int, gauge("Places in the queue")] = 0
    most_running: Annotated[int, gauge("The most calls that ever held a place at once")] = 0
    most_waiting: Annotated[int, gauge("The most calls that were ever in the queue at once")] = 0
    refused: Annotated[int, counter("Calls that found no place and no room in the queue")] = 0
    displaced: Annotated[int, counter("Calls in a full queue that made room for one of higher priority")] = 0
    gave_up: Annotated[int, counter("Calls that left the queue without a place: too late, or cancelled")] = 0
    waited: Annotated[int, counter("Calls that got their place from the queue")] = 0
    wait_time: Annotated[float, counter("How long those waited, together", "seconds")] = 0.0
    longest_wait: Annotated[float, gauge("How long the one of them waited that waited longest", "seconds")] = 0.0
    name: str = ""
    """The name by which pipelines share it; empty where it is one pipeline's own."""


class FunctionCacheStatistics(msgspec.Struct, frozen=True):
    """One function's cache since it was made."""

    function: str
    """The function's qualified name."""
    results: CacheStatistics
    """Of the results in this process: hits, misses, what was evicted, given out stale, refreshed, invalidated."""
    under_way: Annotated[int, gauge("Calls that are being made now, for whoever wants their results")]
    joined: Annotated[int, counter("Callers who got what a call gave that another one had begun")]
    shared_hits: Annotated[int, counter("Results found in the shared tier")]
    soft_timeouts: Annotated[int, counter("Stale results given because a call took longer than soft_timeout")]
    hard_timeouts: Annotated[int, counter("Calls that were given up after hard_timeout")]
    background_errors: Annotated[int, counter("Calls in the App's background that failed")]
    callback_errors: Annotated[int, counter("Results not kept because a function of the policy failed on them")]
    place: int = 0
    """Which of the caches around the function it is, outermost first."""


class AdaptiveLimitStatistics(msgspec.Struct, frozen=True):
    """An adaptive limit: how it stands, and what it has seen since it was made."""

    limit: Annotated[float, gauge("How many calls may run at once; it moves by parts of one, and the whole ones count")]
    running: Annotated[int, gauge("Calls that hold a place")]
    waiting: Annotated[int, gauge("Calls in the queue")]
    latency: Annotated[float | None, gauge("What calls took of late, as a geometric mean", "seconds")]
    """None: not known yet."""
    idle_latency: Annotated[float | None, gauge("What calls take when the other side is idle", "seconds")]
    """None: not known yet, or not asked for (``aimd``)."""
    probing: Annotated[bool, gauge("Whether the idle latency is being measured, with fewer calls than the limit")]
    dropped: Annotated[int, counter("Calls that timed out, were refused inside, were slow, or failed of overload")]
    refused: Annotated[int, counter("Calls that found no place and no room in the queue")]
    gave_up: Annotated[int, counter("Calls that left the queue without a place: too late, or cancelled")]
    most_running: Annotated[int, gauge("The most calls that ever held a place at once")]
    changes: Annotated[int, counter("How often the number of places changed")]


class PipelineStatistics(msgspec.Struct, frozen=True):
    """A pipeline since it was made. ``calls`` is the sum of the outcomes: what is under way is not yet in it."""

    calls: int
    successes: int
    errors: int
    timeouts: int
    """Calls that ended with one of the pipeline's own time limits."""
    cancelled: int
    refused: Mapping[str, int]
    """Calls that ended with a refusal, by the policy's word."""
    hits: int
    """Calls that a cache answered."""
    misses: int
    retries: int
    """Attempts beyond the first ones."""
    hedged: Mapping[str, int] = {}
    """Further attempts that were begun beside a slow one, by the policy's word."""
    degraded: Mapping[str, int] = {}
    """Calls that got a fallback's value, or a result that was too old, by the policy's word."""
    injected: Mapping[str, int] = {}
    """Calls that were disturbed on purpose, by the policy's word."""
    breakers: tuple[BreakerStatistics, ...] = ()
    """In the order of the policies."""
    bulkheads: tuple[BulkheadStatistics, ...] = ()
    """In the order of the policies."""
    adaptive_limits: tuple[AdaptiveLimitStatistics, ...] = ()
    """In the order of the policies."""
    hedges: tuple[HedgeStatistics, ...] = ()
    """By the functions' names."""
    retry_budget: RetryBudgetStatistics | None = None
    """What all its retries and hedges may still do; None where no policy says a budget."""
    chaos: tuple[ChaosStatistics, ...] = ()
    """In the order of the policies; empty where it is not allowed."""
    rate_limits: tuple[RateLimitStatistics, ...] = ()
    """In the order of the policies."""
    caches: tuple[FunctionCacheStatistics, ...] = ()
    """By the functions' names, each function's in the order of the policies; functions of one name are added up."""

    def by_policy(self) -> Iterator[tuple[str, Attributes, msgspec.Struct]]:
        """What each policy has counted: its word, what tells it from its like, and its statistics."""
        for word, found in (
            ("circuit_breaker", self.breakers),
            ("bulkhead", self.bulkheads),
            ("adaptive_limit", self.adaptive_limits),
            ("rate_limit", self.rate_limits),
            ("chaos", self.chaos),
        ):
            for place, each in enumerate(found):
                yield word, _place(place, len(found)), each
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
    """Which of several policies of a word it is, outermost first; nothing where there is one."""
    return (("place", str(place)),) if count > 1 else ()


def statistics_of(pipeline: PipelineRuntime) -> PipelineStatistics:
    """Return what a pipeline has counted, and the statistics of its policies."""
    from corten.pipeline.controls.adaptive_limit import AdaptiveLimitControl
    from corten.pipeline.controls.cache import statistics_of as caches_of
    from corten.pipeline.controls.hedge import hedges_of
    from corten.pipeline.controls.rate_limit import RateLimitControl

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
        breakers=tuple(each.statistics() for each in pipeline.state_of("circuit_breaker")),
        bulkheads=tuple(each.statistics() for each in pipeline.state_of("bulkhead")),
        adaptive_limits=tuple(AdaptiveLimitControl(each).statistics() for each in pipeline.state_of("adaptive_limit")),
        chaos=tuple(ChaosStatistics(*each.statistics()) for each in pipeline.state_of("chaos")),
        hedges=hedges_of(pipeline.functions),
        retry_budget=None if budget is None else RetryBudgetStatistics(*budget.statistics(counts)),
        rate_limits=tuple(
            RateLimitControl(each).statistics(thorough=False) for each in pipeline.state_of("rate_limit")
        ),
        caches=caches_of(pipeline.functions),
    )
