"""Observers: callables around calls and messages, for spans and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import msgspec

from corten.events.pipeline_event import PipelineEvent


class CallDetails(msgspec.Struct, frozen=True):
    """A call through a pipeline, as observers see it."""

    pipeline: str
    function: str
    """The wrapped function's qualified name."""


class MessageDetails(msgspec.Struct, frozen=True):
    """A message that is handled or published, as observers see it."""

    operation: str
    """``process`` or ``publish``, as in OpenTelemetry's conventions for messaging."""
    topic: str
    consumer: str = ""
    count: int = 1
    headers: Mapping[str, bytes] = {}
    """For ``publish``: `Observer.inject` may add more."""


class Observer(msgspec.Struct, frozen=True):
    """Callables around calls and messages, and for events; None costs nothing."""

    name: str
    call: Callable[[CallDetails], AbstractContextManager[object]] | None = None
    message: Callable[[MessageDetails], AbstractContextManager[object]] | None = None
    inject: Callable[[], Mapping[str, bytes]] | None = None
    """Returns headers that carry the current context to the receivers of a published message."""
    event: Callable[[PipelineEvent], object] | None = None
    """Receives the events of pipelines: refused, retried, timed out, … Must be quick and must not raise."""
