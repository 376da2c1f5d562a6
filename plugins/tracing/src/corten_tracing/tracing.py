"""The resource: the App's tracer, and the sending of its telemetry."""

from __future__ import annotations

import logging
import os
import platform
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import msgspec
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from corten.clock import Clock
from corten.metrics import Measurement, Snapshot
from corten.plugins import Observer
from corten_tracing import logs
from corten_tracing.otlp import Record, logs_request, metrics_request, resource_of
from corten_tracing.queue import BoundedQueue
from corten_tracing.sender import Request, Sender, SenderStatistics, Signal
from corten_tracing.settings import TracingSettings
from corten_tracing.spans import QueueProcessor, observer

T = TypeVar("T")

BATCH = 512
"""The most spans or records of a request."""


class TracingStatistics(msgspec.Struct, frozen=True):
    """Counts of spans and log records."""

    spans_sent: int
    spans_dropped: int
    spans_waiting: int
    records_sent: int
    records_dropped: int
    records_waiting: int
    sender: SenderStatistics


class Tracing:
    """OpenTelemetry for one App; ``app.get(Tracing).tracer`` starts your own spans.

    The global provider belongs to the host: give :attr:`provider` to instrumentations, or set it globally yourself.

    :param name: the name of the service, unless the settings have one
    :param post: sends a body to the collector; for tests
    """

    def __init__(
        self,
        settings: TracingSettings,
        *,
        name: str,
        clock: Clock,
        environment: str = "",
        post: Callable[[str, bytes], int] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sender = Sender(settings, clock, post=post)
        self._spans: BoundedQueue[ReadableSpan] = BoundedQueue(settings.max_queued)
        self._records: BoundedQueue[Record] = BoundedQueue(settings.max_queued)
        self._stopping = anyio.Event()
        attributes: dict[str, str | int] = {
            "service.name": settings.service_name or name,
            "service.instance.id": str(uuid.uuid4()),
            "host.name": platform.node(),
            "process.pid": os.getpid(),
        }
        if environment:
            attributes["deployment.environment.name"] = environment
        resource = Resource.create(attributes)
        self._resource = resource_of(resource.attributes)
        self.provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)), resource=resource, shutdown_on_exit=False
        )
        """The App's provider."""
        if "traces" in settings.signals:
            self.provider.add_span_processor(QueueProcessor(self._spans))
        self.tracer: trace.Tracer = self.provider.get_tracer("corten")
        """Starts your own spans: ``with tracing.tracer.start_as_current_span("settle"): …``."""
        self.observer: Observer = observer(self.tracer)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Tracing, None]:
        """Add ids to log records and send them, while the block lasts."""
        logs.join()
        handler = logs.QueueHandler(self._records, logging.getLevelNamesMapping()[self._settings.log_level.upper()])
        sends_logs = "logs" in self._settings.signals
        if sends_logs:
            logging.getLogger().addHandler(handler)
        try:
            yield self
        finally:
            if sends_logs:
                logging.getLogger().removeHandler(handler)
            logs.leave()
            self.provider.shutdown()

    async def run(self) -> None:
        """Send the queues at each interval, and once more at the stop."""
        while not self._stopping.is_set():
            with self._clock.move_on_after(self._settings.interval):
                await self._stopping.wait()
            await self.flush()
        await self.flush()  # items that came during the last sending

    async def stop(self) -> None:
        """Make :meth:`run` send the queues and end; returns at once."""
        self._stopping.set()

    async def flush(self) -> None:
        """Send the queues until a request fails; the rest waits."""
        if await self._drain(self._spans, "traces", encode_spans):
            await self._drain(self._records, "logs", lambda records: logs_request(records, self._resource))

    async def export(self, snapshot: Snapshot) -> None:
        """Send a snapshot of the metrics.

        :raises ResourceUnavailable: the collector did not take it; the next snapshot is cumulative
        """
        await self._sender.send_or_raise("metrics", metrics_request(snapshot, self._resource))

    def measure(self) -> Iterable[Measurement]:
        """Return the numbers of sent, dropped and waiting items."""
        queues: tuple[tuple[str, BoundedQueue[Any]], ...] = (("traces", self._spans), ("logs", self._records))
        for signal, queue in queues:
            of = (("signal", signal),)
            yield Measurement("corten_tracing_sent", queue.sent, of, "Spans and records sent", kind="counter")
            yield Measurement("corten_tracing_dropped", queue.dropped, of, "Spans and records lost", kind="counter")
            yield Measurement("corten_tracing_waiting", len(queue), of, "Spans and records waiting to be sent")

    def statistics(self) -> TracingStatistics:
        """Return the counts since the start."""
        spans, records = self._spans, self._records
        return TracingStatistics(
            spans.sent,
            spans.dropped,
            len(spans),
            records.sent,
            records.dropped,
            len(records),
            self._sender.statistics(),
        )

    async def _drain(self, queue: BoundedQueue[T], signal: Signal, encode: Callable[[Sequence[T]], Request]) -> bool:
        """Send a queue in batches; return False if the collector is away or busy."""
        for _ in range(len(queue) // BATCH + 1):  # items that come meanwhile wait
            batch = queue.take(BATCH)
            if not batch:
                break
            try:
                outcome = await self._sender.send(signal, encode(batch))
            except BaseException:  # cancelled: unknown whether it arrived; a span twice is better than none
                queue.give_back(batch)
                raise
            if outcome == "sent":
                queue.sent += len(batch)
            elif outcome == "refused":
                queue.dropped += len(batch)
            else:
                queue.give_back(batch)
                return False
        return True
