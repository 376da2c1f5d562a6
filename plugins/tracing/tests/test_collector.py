"""Traces, metrics and logs arrive at a real OpenTelemetry Collector, and agree with what was counted here."""

from __future__ import annotations

import logging
import time

import anyio.lowlevel
import pytest
from tests.servers.otelcol import CollectorServer, attributes

from corten.errors import CircuitOpen
from corten.messages import MessageDetails
from corten.metrics import HistogramPoint
from corten.plugins import CallDetails
from corten_tracing import Tracing

from .conftest import make

pytestmark = [pytest.mark.anyio, pytest.mark.services, pytest.mark.timeout(300)]


async def test_spans_arrive_with_parents_attributes_and_errors(collector: CollectorServer) -> None:
    app = make(collector, tracing__service_name="savings")
    async with app:
        observer = app.get(Tracing).observer
        assert observer.call is not None
        with observer.call(CallDetails("rates", "load")), observer.call(CallDetails("http", "fetch")):
            pass
        with (
            pytest.raises(OSError, match="hunter2"),
            observer.call(CallDetails("users", "load")),
        ):
            raise OSError("no route to redis://:hunter2@cache")
        with pytest.raises(CircuitOpen), observer.call(CallDetails("users", "load")):
            raise CircuitOpen("users", "circuit_breaker", "it is open", 5.0)
    collector.wait_for("traces", 4)
    spans = collector.spans()
    inner, outer, failed, refused = spans
    assert (inner["name"], outer["name"]) == ("http fetch", "rates load")
    assert inner["parentSpanId"] == outer["spanId"]
    assert inner["traceId"] == outer["traceId"] != failed["traceId"]
    assert attributes(outer) == {"corten.pipeline": "rates", "code.function.name": "load"}
    assert outer["resource"]["service.name"] == "savings"
    assert outer["resource"]["deployment.environment.name"] == "production"
    assert failed["status"] == {"code": 2, "message": "no route to redis://:<secret>@cache"}
    assert attributes(failed["events"][0])["exception.type"] == "builtins.OSError"
    assert "hunter2" not in (collector.folder / "traces.json").read_text()
    assert attributes(refused)["corten.refused.policy"] == "circuit_breaker"
    assert refused.get("status", {}) == {}


async def test_what_handles_a_message_is_a_child_of_what_published_it(collector: CollectorServer) -> None:
    publishing, consuming = make(collector), make(collector)
    async with publishing, consuming:
        publisher, consumer = publishing.get(Tracing).observer, consuming.get(Tracing).observer
        assert publisher.message is not None
        assert publisher.inject is not None
        assert consumer.message is not None
        with publisher.message(MessageDetails("publish", "flights")):
            headers = dict(publisher.inject())
        with consumer.message(MessageDetails("process", "flights", "store", 1, headers)):
            pass
        with consumer.message(MessageDetails("process", "flights", "store", 500, headers)):
            pass
        with consumer.message(MessageDetails("process", "flights", "store", 1, {"traceparent": b"\xff nonsense"})):
            pass
    collector.wait_for("traces", 4)
    found = {span["spanId"]: span for span in collector.spans()}
    published = next(span for span in found.values() if span["name"] == "publish flights")
    child = next(span for span in found.values() if span.get("parentSpanId"))
    linked = next(span for span in found.values() if span.get("links"))
    assert child["parentSpanId"] == published["spanId"]
    assert child["traceId"] == published["traceId"]
    assert (published["kind"], child["kind"]) == (4, 5)
    assert linked["links"][0]["spanId"] == published["spanId"]
    assert linked["traceId"] != published["traceId"]
    assert attributes(linked)["messaging.batch.message_count"] == 500
    assert attributes(child)["messaging.destination.name"] == "flights"


async def test_metrics_arrive_with_the_registrys_values(collector: CollectorServer) -> None:
    app = make(collector)
    async with app:
        calls = app.registry.counter("orders", "Orders", attributes=("kind",))
        calls.add(3, kind="a")
        calls.add(2**40, kind="b")
        app.registry.gauge("depth", "Depth", "bytes").set(1.5)
        wait = app.registry.histogram("wait", "Waiting", "seconds", bounds=(0.1, 1.0))
        for value in (0.05, 0.5, 0.6, 5.0):
            wait.record(value)
        kept = {instrument.name: instrument for instrument in app.registry.snapshot().instruments}
    collector.wait_for("metrics", 3)
    came = collector.metrics()
    orders = came["orders"]["sum"]
    assert orders["isMonotonic"] is True
    assert orders["aggregationTemporality"] == 2
    assert {attributes(point)["kind"]: int(point["asInt"]) for point in orders["dataPoints"]} == {"a": 3, "b": 2**40}
    assert all(int(point["startTimeUnixNano"]) < int(point["timeUnixNano"]) for point in orders["dataPoints"])
    assert (came["depth"]["unit"], came["depth"]["gauge"]["dataPoints"][0]["asDouble"]) == ("By", 1.5)
    point = came["wait"]["histogram"]["dataPoints"][0]
    expected = kept["wait"].series[0].value
    assert isinstance(expected, HistogramPoint)
    assert came["wait"]["unit"] == "s"
    assert [int(count) for count in point["bucketCounts"]] == list(expected.counts) == [1, 2, 1]
    assert (int(point["count"]), point["sum"]) == (4, expected.sum)
    assert point["explicitBounds"] == list(expected.bounds)


async def test_logs_arrive_with_the_ids_of_their_span(collector: CollectorServer) -> None:
    log = logging.getLogger("savings")
    log.setLevel(logging.DEBUG)
    root = logging.getLogger()
    before = list(root.handlers)
    app = make(collector)
    async with app:
        with app.get(Tracing).tracer.start_as_current_span("settle") as span:
            log.warning("settled %d accounts", 3, extra={"accounts": 3})
        log.debug("not sent: below the level")
        try:
            raise ValueError("password=hunter2")
        except ValueError:
            log.exception("failed")
    assert root.handlers == before
    collector.wait_for("logs", 2)
    ours = [record for record in collector.records() if record["scope"] == "savings"]
    settled, failed = ours
    assert settled["body"]["stringValue"] == "settled 3 accounts"
    assert (settled["severityNumber"], settled["severityText"]) == (13, "WARNING")
    assert int(settled["traceId"], 16) == span.get_span_context().trace_id
    assert int(settled["spanId"], 16) == span.get_span_context().span_id
    assert attributes(settled)["accounts"] == 3
    assert attributes(failed)["exception.message"] == "password=<secret>"
    assert "test_collector.py" in attributes(failed)["exception.stacktrace"]
    assert "hunter2" not in (collector.folder / "logs.json").read_text()


async def test_a_collector_that_was_away_is_given_what_waited(
    collector: CollectorServer, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(collector, tracing__interval=3600.0, tracing__signals=["traces"])
    async with app:
        tracing = app.get(Tracing)
        collector.kill()
        with caplog.at_level(logging.INFO, "corten.tracing"):
            for _ in range(3):
                with tracing.tracer.start_as_current_span("work"):
                    pass
                await tracing.flush()
            assert (tracing.statistics().spans_waiting, tracing.statistics().sender.failures) == (3, 3)
            collector.start()
            await tracing.flush()
        words = [record.message for record in caplog.records if record.name.startswith("corten.tracing")]
        assert len(words) == 2, words
        assert "telemetry waits" in words[0]
        assert "takes telemetry again" in words[1]
        assert tracing.statistics().spans_sent == 3
    collector.wait_for("traces", 3)


async def test_a_collector_that_hangs_holds_up_neither_calls_nor_the_shutdown(collector: CollectorServer) -> None:
    app = make(collector, tracing__timeout=0.5, tracing__interval=0.05)
    async with app:
        collector.freeze()
        began = time.monotonic()
        for _ in range(1000):
            with app.get(Tracing).tracer.start_as_current_span("work"):
                pass
            await anyio.lowlevel.checkpoint()
        assert time.monotonic() - began < 2.0
        tracing = app.get(Tracing)
    assert time.monotonic() - began < 10.0
    assert tracing.statistics().spans_waiting == 1000
    assert app.state == "stopped"
    collector.thaw()
