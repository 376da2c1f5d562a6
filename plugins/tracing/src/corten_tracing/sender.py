"""Sends OTLP over HTTP, one request at a time, in a thread.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. OpenTelemetry's own exporters repeat a failed request within the
call and log each failure; here a batch goes back to its queue until the next interval, and an outage is two lines in
the log.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import ssl
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import msgspec

from corten.clock import Clock
from corten.errors import ResourceUnavailable
from corten.secrets import redact
from corten_tracing.settings import TracingSettings

_log = logging.getLogger("corten.tracing")

Signal = Literal["traces", "metrics", "logs"]
Outcome = Literal["sent", "later", "refused"]
"""``later``: the collector is away or busy, try again; ``refused``: never try again."""

_BUSY = (429, 502, 503, 504)
_LARGE = 1024
"""The least bytes of a compressed body."""


class Request(Protocol):
    """A request message of OTLP."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Encode the message."""
        ...


class SenderStatistics(msgspec.Struct, frozen=True):
    """Counts of requests to the collector."""

    requests: int
    failures: int
    is_away: bool
    """Whether the last request failed."""


class Sender:
    """A connection to one collector.

    :param post: sends a body to a path and returns the status; blocks; for tests
    """

    def __init__(
        self, settings: TracingSettings, clock: Clock, *, post: Callable[[str, bytes], int] | None = None
    ) -> None:
        self._endpoint = settings.endpoint or ""
        self._timeout = settings.timeout
        self._clock = clock
        self._post = post if post is not None else partial(_post, settings)
        self._one = anyio.CapacityLimiter(1)
        self._requests = 0
        self._failures = 0
        self._away = False

    async def send(self, signal: Signal, request: Request) -> Outcome:
        """Send a request; log the begin and the end of an outage.

        The thread of a slow request is left behind; its socket has a timeout too.
        """
        words = f"did not answer within {self._timeout:.3g} s"
        status = 0
        body = request.SerializeToString()
        self._requests += 1
        with self._clock.move_on_after(self._timeout) as scope:
            try:
                send = partial(self._post, f"/v1/{signal}", body)
                status = await anyio.to_thread.run_sync(send, limiter=self._one, abandon_on_cancel=True)
            except (OSError, http.client.HTTPException) as error:
                words = f"{type(error).__name__}: {redact(str(error))}"
        if status and not scope.cancelled_caught:
            words = f"answered {status}"
        if 200 <= status < 300:
            if self._away:
                self._away = False
                _log.info("the collector at %s takes telemetry again", self._endpoint)
            return "sent"
        self._failures += 1
        if not self._away:
            self._away = True
            _log.warning(
                "the collector at %s %s; telemetry waits, and is dropped when there is too much", self._endpoint, words
            )
        return "later" if status == 0 or status in _BUSY else "refused"

    async def send_or_raise(self, signal: Signal, request: Request) -> None:
        """Send a request, without another attempt.

        :raises ResourceUnavailable: the collector did not take it
        """
        if await self.send(signal, request) != "sent":
            raise ResourceUnavailable(f"the collector at {self._endpoint} did not take {signal}")

    def statistics(self) -> SenderStatistics:
        """Return the counts since the start."""
        return SenderStatistics(self._requests, self._failures, self._away)


def _post(settings: TracingSettings, path: str, body: bytes) -> int:
    """POST a body as protobuf and return the status, without following redirects."""
    parts = urlsplit(settings.endpoint or "")
    headers = {**settings.parsed_headers(), "Content-Type": "application/x-protobuf", "User-Agent": "corten-tracing"}
    if len(body) >= _LARGE:
        body = gzip.compress(body, 3)
        headers["Content-Encoding"] = "gzip"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=settings.timeout, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=settings.timeout)
    try:
        connection.request("POST", parts.path.rstrip("/") + path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
