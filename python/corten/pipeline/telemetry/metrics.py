"""What the policies of pipelines hold, as metrics: read when a snapshot is taken, at no cost to calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from corten.metrics.registry import Registry
from corten.metrics.snapshot import Attributes, Collector, Measurement

if TYPE_CHECKING:
    from corten.pipeline.runtime import PipelineRuntime

_lock = threading.RLock()  # a finalizer that the collector runs may make a pipeline
_pipelines: WeakKeyDictionary[Registry, WeakSet[PipelineRuntime]] = WeakKeyDictionary()


def measure(pipeline: PipelineRuntime, registry: Registry, before: Registry | None = None) -> None:
    """Have a registry's snapshots show a pipeline's policies, and those of the registry before no longer."""
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
            there = list(pipelines)
        seen: set[tuple[str, Attributes]] = set()
        for pipeline in sorted(there, key=lambda each: each.name):
            for measurement in measured(pipeline):
                # Two pipelines of one name, or two that share a breaker, would give one series twice.
                place = (measurement.name, measurement.attributes)
                if place not in seen:
                    seen.add(place)
                    yield measurement

    return collect


_DECISIONS = {
    "refused": "Calls that a policy refused",
    "hedged": "Further attempts that were begun beside a slow one",
    "degraded": "Calls that got a fallback's value, or a result that was too old",
    "injected": "Calls that were disturbed on purpose",
}


def measured(pipeline: PipelineRuntime) -> Iterator[Measurement]:
    """What one pipeline's policies hold."""
    from corten.metrics.measured import measurements
    from corten.pipeline.telemetry.statistics import statistics_of

    of_pipeline = (("pipeline", pipeline.name),)
    counted = statistics_of(pipeline)
    decisions = {
        "refused": counted.refused,
        "hedged": counted.hedged,
        "degraded": counted.degraded,
        "injected": counted.injected,
    }
    for decision, by_policy in decisions.items():
        for policy, count in by_policy.items():
            of_policy = (*of_pipeline, ("policy", policy))
            name = f"corten_pipeline_{decision}"
            yield Measurement(name, count, of_policy, _DECISIONS[decision], kind="counter")
    name = "corten_pipeline_retries"
    yield Measurement(name, counted.retries, of_pipeline, "Attempts beyond the first ones", kind="counter")
    for word, attributes, statistics in counted.by_policy():
        yield from measurements(f"corten_{word}", (*of_pipeline, *attributes), statistics)
