"""The table ``[tracing]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from corten.secrets import Secret
from corten.settings import Duration

ALIASES = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "endpoint",
    "OTEL_EXPORTER_OTLP_HEADERS": "headers",
    "OTEL_SERVICE_NAME": "service_name",
}
"""The environment's names of OpenTelemetry's own specification."""


class TracingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where telemetry is sent, and how much of it."""

    endpoint: str | None = None
    """The collector's address for OTLP over HTTP: ``http://127.0.0.1:4318``. Without it the plugin is inactive."""
    headers: Secret | None = None
    """Sent with each request: ``"api-key=…,tenant=a"``, values percent-encoded."""
    service_name: str | None = None
    """The App's name unless said."""
    sample_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """The share of traces that begin here and are recorded; what comes with a parent follows the parent."""
    signals: tuple[Literal["traces", "metrics", "logs"], ...] = ("traces", "metrics", "logs")
    interval: Duration = 5.0
    """Between two exports of spans and logs."""
    metrics_interval: Duration = 60.0
    timeout: Duration = 5.0
    """Of one request to the collector; also how long the last export holds up a shutdown."""
    max_queued: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Spans, and log records, that wait to be sent; beyond it new ones are dropped and counted."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is sent of the root logger's records."""

    def __post_init__(self) -> None:
        """Refuse addresses and headers that can't be used.

        :raises ValueError: says which, and what would be right
        """
        if self.endpoint is not None:
            parts = urlsplit(self.endpoint)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError('endpoint is no HTTP address; expected one such as "http://127.0.0.1:4318"')
            if parts.username is not None or parts.password is not None:
                raise ValueError("endpoint holds credentials, which would be shown; expected them in tracing.headers")
        if min(self.interval, self.metrics_interval, self.timeout) <= 0:
            raise ValueError("an interval or the timeout is not positive; expected more than 0 seconds")
        self.parsed_headers()

    def parsed_headers(self) -> Mapping[str, str]:
        """The headers by name.

        :raises ValueError: an item is not ``name=value``; does not show it
        """
        headers: dict[str, str] = {}
        for item in self.headers.reveal().split(",") if self.headers is not None else ():
            name, equals, value = item.strip().partition("=")
            value = unquote(value.strip())
            if not equals or not name.strip() or not (name + value).isprintable():
                raise ValueError('headers are not understood; expected "name=value,name=value"')
            headers[name.strip()] = value
        return headers
