"""Telemetry is bounded, is sent at its times and at the end, and never costs a call anything."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import anyio
import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from corten.app import App
from corten.logs import current_fields
from corten.logs.context import trace_ids
from corten.messages import MessageDetails
from corten.secrets import Secret
from corten.testing import FakeClock
from corten_tracing import Tracing, TracingPlugin, TracingSettings
from corten_tracing.otlp import severity
from corten_tracing.queue import BoundedQueue
from corten_tracing.spans import extract, inject

from .conftest import make

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:9"


class Collector:
    """Answers what it is told to, and keeps what it was sent."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.spans: list[str] = []
        self.asked = 0

    def __call__(self, path: str, body: bytes) -> int:
        self.asked += 1
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise ConnectionRefusedError(111, "refused")
        if status == 200 and path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.spans += [span.name for span in scope.spans]
        return status


def tracing(post: Callable[[str, bytes], int], clock: FakeClock | None = None, **values: object) -> Tracing:
    settings = TracingSettings(endpoint=NOWHERE, **values)  # type: ignore[arg-type]
    return Tracing(settings, name="tested", clock=clock or FakeClock(), post=post)


def work(traced: Tracing, *names: str) -> None:
    for name in names:
        traced.tracer.start_span(name).end()


async def test_spans_are_sent_at_the_interval_and_when_asked_to_stop() -> None:
    clock, collector = FakeClock(), Collector()
    traced = tracing(collector, clock, interval=5.0)
    async with anyio.create_task_group() as group:
        group.start_soon(traced.run)
        await anyio.wait_all_tasks_blocked()
        work(traced, "a", "b")
        assert collector.spans == []
        await clock.advance(5.0)
        while traced.statistics().spans_sent < 2:
            await anyio.wait_all_tasks_blocked()
        work(traced, "c")
        await traced.stop()
    assert collector.spans == ["a", "b", "c"]


async def test_what_a_busy_collector_did_not_take_is_sent_again_and_what_it_refused_is_not() -> None:
    collector = Collector(503, 0, 400)
    traced = tracing(collector)
    work(traced, "a")
    await traced.flush()
    await traced.flush()
    assert traced.statistics().spans_waiting == 1
    await traced.flush()
    assert (traced.statistics().spans_waiting, traced.statistics().spans_dropped) == (0, 1)
    work(traced, "b")
    await traced.flush()
    assert collector.spans == ["b"]


async def test_a_collector_that_hangs_is_left_at_the_timeout_and_the_spans_wait() -> None:
    clock, answer = FakeClock(), threading.Event()

    def hang(path: str, body: bytes) -> int:
        answer.wait(20)
        return 200

    traced = tracing(hang, clock, timeout=2.0)
    work(traced, "a")
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(traced.flush)
            await clock.advance(2.0)
        assert traced.statistics().spans_waiting == 1
        assert traced.statistics().sender.is_away
    finally:
        answer.set()


async def test_beyond_the_bound_new_spans_are_dropped_and_counted() -> None:
    traced = tracing(Collector(0), max_queued=10)
    work(traced, *map(str, range(25)))
    await traced.flush()
    figures = traced.statistics()
    assert (figures.spans_waiting, figures.spans_dropped) == (10, 15)
    measured = {(m.name, m.attributes): m.value for m in traced.measure()}
    assert measured["corten_tracing_dropped", (("signal", "traces"),)] == 15


async def test_an_outage_is_one_line_however_long_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    traced = tracing(Collector(*[0] * 50))
    with caplog.at_level(logging.INFO, "corten.tracing"):
        for _ in range(50):
            work(traced, "a")
            await traced.flush()
    assert len(caplog.records) == 1


async def test_a_large_backlog_is_sent_in_batches() -> None:
    collector = Collector()
    traced = tracing(collector)
    work(traced, *map(str, range(1200)))
    await traced.flush()
    assert collector.asked == 3
    assert collector.spans == [str(number) for number in range(1200)]


async def test_only_the_sampled_share_is_recorded() -> None:
    collector = Collector()
    traced = tracing(collector, sample_ratio=0.0)
    work(traced, "a")
    await traced.flush()
    assert collector.asked == 0


async def test_without_an_endpoint_the_plugin_is_inactive() -> None:
    app = App("plain", plugins=[TracingPlugin], autoload=False, config=None)
    async with app:
        assert [plugin.state for plugin in app.plugins] == ["inactive"]
        assert app.observers == ()


async def test_an_app_starts_runs_and_stops_with_no_collector_and_leaves_the_globals_alone() -> None:
    before = (trace.get_tracer_provider(), logging.getLogger().handlers[:])
    app = make(NOWHERE, tracing__timeout=1.0)
    async with app:
        assert len(app.observers) == 1
        with app.get(Tracing).tracer.start_as_current_span("work") as span:
            assert trace_ids() == (
                f"{span.get_span_context().trace_id:032x}",
                f"{span.get_span_context().span_id:016x}",
            )
        assert trace_ids() is None
    assert (trace.get_tracer_provider(), logging.getLogger().handlers[:]) == before
    assert current_fields() == {}


async def test_ids_stay_in_logs_while_any_of_two_apps_runs() -> None:
    first, second = make(NOWHERE, tracing__timeout=0.5), make(NOWHERE, tracing__timeout=0.5)
    async with first:
        async with second:
            pass
        with first.get(Tracing).tracer.start_as_current_span("work"):
            assert trace_ids() is not None
    assert trace_ids() is None


async def test_a_context_goes_through_headers_and_back() -> None:
    traced = tracing(Collector())
    assert inject() == {}
    with traced.tracer.start_as_current_span("publish") as span:
        headers = inject()
    found = trace.get_current_span(extract(headers)).get_span_context()
    assert (found.trace_id, found.span_id) == (span.get_span_context().trace_id, span.get_span_context().span_id)
    for nonsense in (b"", b"\xff\xfe", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"x" * 10_000):
        assert not trace.get_current_span(extract({"traceparent": nonsense})).get_span_context().is_valid


async def test_a_cancelled_call_is_marked_so_and_is_no_error() -> None:
    traced = tracing(Collector())
    assert traced.observer.message is not None
    around = traced.observer.message(MessageDetails("process", "flights"))
    with anyio.CancelScope() as scope:
        scope.cancel()
        with around as span:
            await anyio.sleep(1)
    assert span.attributes["corten.outcome"] == "cancelled"  # type: ignore[attr-defined]
    assert span.status.is_unset  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"endpoint": "localhost:4318"}, "no HTTP address"),
        ({"endpoint": "http://user:hunter2@otel:4318"}, "expected them in tracing.headers"),
        ({"endpoint": NOWHERE, "headers": "hunter2"}, "headers are not understood"),
        ({"endpoint": NOWHERE, "headers": "a=b%0d%0aX: hunter2"}, "headers are not understood"),
        ({"endpoint": NOWHERE, "interval": 0.0}, "more than 0"),
        ({"endpoint": NOWHERE, "sample_ratio": 1.5}, "<= 1"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_showing_a_secret(
    values: dict[str, object], words: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(values, TracingSettings, dec_hook=lambda _, value: Secret(value))
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_headers_are_parsed_as_opentelemetry_says() -> None:
    settings = TracingSettings(endpoint=NOWHERE, headers=Secret("api-key=a%20b, tenant=x=y"))
    assert settings.parsed_headers() == {"api-key": "a b", "tenant": "x=y"}


def test_what_is_given_back_comes_first_and_stays_within_the_bound() -> None:
    queue: BoundedQueue[int] = BoundedQueue(4)
    for number in range(4):
        queue.put(number)
    taken = queue.take(3)
    queue.put(4)
    queue.put(5)
    queue.give_back(taken)
    assert queue.take(10) == [0, 3, 4, 5]
    assert queue.dropped == 2


@pytest.mark.parametrize(("level", "number"), [(5, 1), (10, 5), (20, 9), (25, 9), (30, 13), (40, 17), (50, 21)])
def test_levels_become_severities(level: int, number: int) -> None:
    assert severity(level) == number
