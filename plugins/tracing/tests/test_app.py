"""Telemetry of a whole App: pipelines, consumers and the registry, seen by a real collector."""

from __future__ import annotations

import anyio
import msgspec
import pytest
from tests.servers.otelcol import CollectorServer, attributes

from corten import CircuitBreaker, Pipeline, Retry
from corten.errors import CircuitOpen
from corten.testing import MemoryBroker
from corten_tracing import Tracing

from .conftest import make

pytestmark = [pytest.mark.anyio, pytest.mark.services, pytest.mark.timeout(300)]


async def test_calls_through_pipelines_are_spans_and_their_counts_arrive(collector: CollectorServer) -> None:
    app = make(collector)
    rates = app.add(
        Pipeline("rates", Retry(max_attempts=2, initial_backoff=0.001), CircuitBreaker(failures=2, open_for=60))
    )
    inner = app.add(Pipeline("inner", Retry(max_attempts=1)))

    @inner
    async def fetch() -> int:
        return 1

    @rates
    async def load(fail: bool) -> int:
        if fail:
            raise OSError("away")
        return await fetch()

    async with app:
        for _ in range(3):
            assert await load(False) == 1
        with pytest.raises(OSError, match="away"):
            await load(True)
        with pytest.raises(CircuitOpen):
            await load(False)
        figures = rates.statistics()
    collector.wait_for("traces", 8)
    collector.wait_for("metrics")
    spans = collector.spans()
    ours = [span for span in spans if attributes(span)["corten.pipeline"] == "rates"]
    assert len(ours) == 5
    assert [attributes(span).get("corten.outcome", "") for span in ours] == ["", "", "", "error", "refused"]
    children = [span for span in spans if attributes(span)["corten.pipeline"] == "inner"]
    assert [span["parentSpanId"] for span in children] == [span["spanId"] for span in ours[:3]]
    points = collector.metrics()["corten_pipeline_calls"]["sum"]["dataPoints"]
    counts = {(attributes(p)["pipeline"], attributes(p)["outcome"]): int(p["asInt"]) for p in points}
    assert counts["rates", "success"] == figures.successes == 3
    assert counts["rates", "error"] == figures.errors == 1
    assert counts["rates", "refused"] == 1
    durations = collector.metrics()["corten_pipeline_duration"]["histogram"]["dataPoints"]
    assert {attributes(p)["pipeline"] for p in durations} == {"rates", "inner"}


class Order(msgspec.Struct, frozen=True):
    id: int


async def test_a_consumer_goes_on_with_the_trace_of_the_publisher(collector: CollectorServer) -> None:
    broker = MemoryBroker()
    app = make(collector, broker)
    handled = anyio.Event()

    @app.consumer("orders", type=Order, group="g")
    async def handle(order: Order) -> None:
        handled.set()

    async with app:
        tracing = app.get(Tracing)
        assert tracing.observer.inject is not None
        with tracing.tracer.start_as_current_span("place order") as placed:
            await broker.send("orders", b'{"id": 1}', headers=dict(tracing.observer.inject()))
        with anyio.fail_after(10):
            await handled.wait()
    collector.wait_for("traces", 2)
    processed = next(span for span in collector.spans() if span["name"] == "process orders")
    assert int(processed["traceId"], 16) == placed.get_span_context().trace_id
    assert int(processed["parentSpanId"], 16) == placed.get_span_context().span_id
