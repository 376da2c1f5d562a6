"""Metrics of pipelines, read from their statistics at each snapshot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from corten.metrics.registry import Registry
from corten.metrics.snapshot import Attributes, Collector, Measurement

if TYPE_CHECKING:
    from corten.pipeline.runtime import PipelineRuntime
    from corten.pipeline.telemetry.events import EventName

_lock = threading.RLock()  # a finalizer that the collector runs may make a pipeline
_pipelines: WeakKeyDictionary[Registry, WeakSet[PipelineRuntime]] = WeakKeyDictionary()


def measure(pipeline: PipelineRuntime, registry: Registry, before: Registry | None = None) -> None:
    """Move a pipeline's metrics to a registry."""
    with _lock:
        if before is not None and (others := _pipelines.get(before)) is not None:
            others.discard(pipeline)
        known = _pipelines.get(registry)
        if known is None:
            known = _pipelines[registry] = WeakSet()
            registry.add_collector(Collector("corten.pipelines", _collect_from(known)))
        known.add(pipeline)


def _collect_from(pipelines: WeakSet[PipelineRuntime]) -> Callable[[], Iterator[Measurement]]:
    def collect() -> Iterator[Measurement]:
        with _lock:
            alive = list(pipelines)
        seen: set[tuple[str, Attributes]] = set()
        for pipeline in sorted(alive, key=lambda each: each.name):
            for measurement in measured(pipeline):
                # Two pipelines of one name, or two that share a breaker, would give one series twice.
                series = (measurement.name, measurement.attributes)
                if series not in seen:
                    seen.add(series)
                    yield measurement

    return collect


_EVENTS: Mapping[EventName, str] = {
    "refused": "Calls that a policy refused",
    "hedged": "Further attempts that were begun beside a slow one",
    "degraded": "Calls that got a fallback's value, or a result that was too old",
    "injected": "Calls that were disturbed on purpose",
}


def measured(pipeline: PipelineRuntime) -> Iterator[Measurement]:
    """Measure one pipeline and its policies."""
    from corten.metrics.measured import measurements
    from corten.pipeline.telemetry.statistics import policy_statistics, statistics_of

    of_pipeline = (("pipeline", pipeline.name),)
    by_kind = policy_statistics(pipeline)
    counted = statistics_of(pipeline, by_kind)
    for event, description in _EVENTS.items():
        for policy, count in getattr(counted, event).items():
            of_policy = (*of_pipeline, ("policy", policy))
            yield Measurement(f"corten_pipeline_{event}", count, of_policy, description, kind="counter")
    name = "corten_pipeline_retries"
    yield Measurement(name, counted.retries, of_pipeline, "Attempts beyond the first ones", kind="counter")
    for kind, found in by_kind.items():
        for index, each in enumerate(found):
            yield from measurements(f"corten_{kind}", (*of_pipeline, *_place(index, len(found))), each)
    for hedge in counted.hedges:
        yield from measurements("corten_hedge", (*of_pipeline, ("function", hedge.function)), hedge)
    if counted.retry_budget is not None:
        yield from measurements("corten_retry_budget", of_pipeline, counted.retry_budget)
    places = 1 + max((cache.place for cache in counted.caches), default=0)
    for cache in counted.caches:
        of_cache = (*of_pipeline, ("function", cache.function), *_place(cache.place, places))
        yield from measurements("corten_cache", of_cache, cache)
        yield from measurements("corten_cache", of_cache, cache.results)


def _place(index: int, count: int) -> Attributes:
    """Return the index of a policy as an attribute, if there are several."""
    return (("place", str(index)),) if count > 1 else ()
