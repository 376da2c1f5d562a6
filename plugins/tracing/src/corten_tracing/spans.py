"""Spans of calls and messages, and their context in headers."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType

from opentelemetry import context as current
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from corten.errors import Refused
from corten.messages import MessageDetails
from corten.plugins import CallDetails, Observer
from corten.secrets import redact
from corten_tracing.queue import BoundedQueue

_W3C = TraceContextTextMapPropagator()
_HEADERS = ("traceparent", "tracestate")
"""https://www.w3.org/TR/trace-context/"""


class Around:
    """A current span around a block, which records the block's error."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[Context] | None = None

    def __enter__(self) -> trace.Span:
        self._token = current.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        if self._token is not None:
            current.detach(self._token)
        if error is not None and self._span.is_recording():
            tell(self._span, error)
        self._span.end()


def tell(span: trace.Span, error: BaseException) -> None:
    """Record an error on a span, but not a refusal or a cancellation.

    The stack has no source lines, because they may show secrets.
    """
    name = type(error).__qualname__
    if isinstance(error, Refused):
        span.set_attributes({"corten.outcome": "refused", "corten.refused.policy": error.policy, "error.type": name})
        return
    if not isinstance(error, Exception):
        span.set_attributes({"corten.outcome": "cancelled", "error.type": name})
        return
    words = redact(str(error))
    span.set_attributes({"corten.outcome": "error", "error.type": name})
    span.add_event(
        "exception",
        {
            "exception.type": f"{type(error).__module__}.{name}",
            "exception.message": words,
            "exception.stacktrace": places(error),
        },
    )
    span.set_status(Status(StatusCode.ERROR, words or name))


def places(error: BaseException) -> str:
    """Format file, line and function of each frame, innermost last."""
    frames = traceback.extract_tb(error.__traceback__, limit=-50)
    return "\n".join(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in frames)


def observer(tracer: trace.Tracer) -> Observer:
    """Makes spans of calls and messages, and headers of published messages."""

    def call(details: CallDetails) -> Around:
        attributes = {"corten.pipeline": details.pipeline, "code.function.name": details.function}
        return Around(tracer.start_span(f"{details.pipeline} {details.function}", attributes=attributes))

    def message(details: MessageDetails) -> Around:
        return Around(_message_span(tracer, details))

    return Observer("tracing", call, message, inject)


def _message_span(tracer: trace.Tracer, details: MessageDetails) -> trace.Span:
    """Make a span by OpenTelemetry's conventions for messaging.

    Handling one message is a child of its publication. A batch has many publishers, so it begins a trace with a link.
    """
    attributes: dict[str, str | int] = {
        "messaging.operation.type": "send" if details.operation == "publish" else details.operation,
        "messaging.operation.name": details.operation,
    }
    if details.topic:
        attributes["messaging.destination.name"] = details.topic
    if details.consumer:
        attributes["messaging.consumer.group.name"] = details.consumer
    if details.count > 1:
        attributes["messaging.batch.message_count"] = details.count
    name = f"{details.operation} {details.topic}".strip()
    if details.operation == "publish":
        return tracer.start_span(name, kind=SpanKind.PRODUCER, attributes=attributes)
    sender = extract(details.headers)
    if details.count > 1:
        links = [Link(found)] if (found := trace.get_current_span(sender).get_span_context()).is_valid else []
        return tracer.start_span(name, Context(), kind=SpanKind.CONSUMER, attributes=attributes, links=links)
    return tracer.start_span(name, sender, kind=SpanKind.CONSUMER, attributes=attributes)


def inject() -> Mapping[str, bytes]:
    """Return the current span's context as headers."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return {name: value.encode("ascii", "ignore") for name, value in carrier.items()}


def extract(headers: Mapping[str, bytes]) -> Context:
    """Return the context of headers, empty without a valid context."""
    carrier = {name: headers[name].decode("ascii", "replace") for name in _HEADERS if name in headers}
    return _W3C.extract(carrier, Context())


class QueueProcessor(SpanProcessor):
    """Puts sampled spans into a queue when they end."""

    def __init__(self, queue: BoundedQueue[ReadableSpan]) -> None:
        self._queue = queue

    def on_end(self, span: ReadableSpan) -> None:
        """Queue an ended span."""
        context = span.context
        if context is not None and context.trace_flags.sampled:
            self._queue.put(span)
