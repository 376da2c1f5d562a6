"""Counters, histograms and scrapes, next to prometheus_client and OpenTelemetry's SDK."""

from __future__ import annotations

from typing import Any

from harness import Case, compare, optional

from corten.metrics import Registry

SERIES = 1000


class Slot:
    """The least possible counter in Python: the floor."""

    def __init__(self) -> None:
        self.value = 0

    def add(self) -> None:
        pass


def prometheus() -> dict[str, Any]:
    client = optional("prometheus_client")
    if client is None:
        return {}
    registry = client.CollectorRegistry()
    labelled = client.Counter("by", "Calls", ["pipeline", "outcome"], registry=registry)
    return {
        "counter": client.Counter("calls", "Calls", registry=registry),
        "labelled": labelled,
        "bound": labelled.labels("users", "success"),
        "histogram": client.Histogram("duration", "Seconds", registry=registry),
        "histogram_labelled": client.Histogram("duration_by", "Seconds", ["pipeline"], registry=registry),
    }


def opentelemetry() -> dict[str, Any]:
    sdk = optional("opentelemetry.sdk.metrics")
    export = optional("opentelemetry.sdk.metrics.export")
    if sdk is None or export is None:
        return {}
    provider = sdk.MeterProvider(metric_readers=[export.InMemoryMetricReader()])
    meter = provider.get_meter("bench")
    return {
        "counter": meter.create_counter("calls"),
        "histogram": meter.create_histogram("duration"),
        "attributes": {"pipeline": "users", "outcome": "success"},
        "one": {"pipeline": "users"},
        "provider": provider,
    }


def main() -> None:
    registry = Registry()
    calls = registry.counter("calls")
    by = registry.counter("by", attributes=("pipeline", "outcome"))
    duration = registry.histogram("duration", unit="seconds")
    duration_by = registry.histogram("duration_by", unit="seconds", attributes=("pipeline",))
    theirs, otel = prometheus(), opentelemetry()

    def peer(peers: dict[str, Any], statement: str) -> Case | None:
        return (
            Case(statement, **{name: value for name, value in peers.items() if name != "provider"}) if peers else None
        )

    twelfth = {"prometheus_client": 1 / 12}
    compare(
        "counter, no attributes",
        {
            "a method that does nothing": Case("add()", add=Slot().add),
            "corten": Case("calls.add()", calls=calls),
            "prometheus_client": peer(theirs, "counter.inc()"),
            "opentelemetry": peer(otel, "counter.add(1)"),
        },
        floor="a method that does nothing",
        targets=twelfth,
    )
    compare(
        "counter, bound to its attributes",
        {
            "corten": Case("bound.add()", bound=by.bind(pipeline="users", outcome="success")),
            "prometheus_client": peer(theirs, "bound.inc()"),
        },
        targets=twelfth,
    )
    compare(
        "counter, two attributes looked up",
        {
            "corten": Case("by.add(1, pipeline='users', outcome='success')", by=by),
            "prometheus_client": peer(theirs, "labelled.labels('users', 'success').inc()"),
            "opentelemetry": peer(otel, "counter.add(1, attributes)"),
        },
        targets=twelfth,
    )
    compare(
        "histogram, no attributes",
        {
            "corten": Case("duration.record(0.3)", duration=duration),
            "prometheus_client": peer(theirs, "histogram.observe(0.3)"),
            "opentelemetry": peer(otel, "histogram.record(0.3)"),
        },
        targets=twelfth,
    )
    compare(
        "histogram, one attribute looked up",
        {
            "corten": Case("duration_by.record(0.3, pipeline='users')", duration_by=duration_by),
            "prometheus_client": peer(theirs, "histogram_labelled.labels('users').observe(0.3)"),
            "opentelemetry": peer(otel, "histogram.record(0.3, one)"),
        },
        targets=twelfth,
    )
    compare(
        "timing a block into a histogram",
        {
            "corten": Case("with duration.time(): pass", duration=duration),
            "prometheus_client": peer(theirs, "with histogram.time(): pass"),
        },
    )
    exposition()


def exposition() -> None:
    """Measure a line of a scrape of counters and histograms with attributes."""
    registry = Registry()
    by = registry.counter("by", attributes=("path", "outcome"))
    size = registry.histogram("size", attributes=("path",))
    for number in range(SERIES):
        by.add(number, path=f"/flights/{number}", outcome="success")
    for number in range(SERIES // 10):
        size.record(0.3, path=f"/flights/{number}")
    cases: dict[str, Case | None] = {
        "corten": Case("render()", operations=registry.render().count("\n"), render=registry.render),
        "prometheus_client": None,
    }
    client = optional("prometheus_client")
    if client is not None:
        from prometheus_client.openmetrics.exposition import generate_latest

        theirs = client.CollectorRegistry()
        labelled = client.Counter("by", "Calls", ["path", "outcome"], registry=theirs)
        sizes = client.Histogram("size", "Size", ["path"], registry=theirs)
        for number in range(SERIES):
            labelled.labels(f"/flights/{number}", "success").inc(number)
        for number in range(SERIES // 10):
            sizes.labels(f"/flights/{number}").observe(0.3)
        cases["prometheus_client"] = Case(
            "generate(registry)",
            operations=generate_latest(theirs).count(b"\n"),
            generate=generate_latest,
            registry=theirs,
        )
    compare("exposition, a line", cases, targets={"prometheus_client": 1 / 100})


if __name__ == "__main__":
    main()
