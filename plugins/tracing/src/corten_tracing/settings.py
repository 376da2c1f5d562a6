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
"""Environment variables of OpenTelemetry's specification."""


class TracingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The collector, and the amount of telemetry."""

    endpoint: str | None = None
    """The collector's address for OTLP over HTTP: ``http://127.0.0.1:4318``. Without it the plugin is inactive."""
    headers: Secret | None = None
    """Headers of each request: ``"api-key=…,tenant=a"``, percent-encoded."""
    service_name: str | None = None
    """The App's name by default."""
    sample_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """The recorded share of traces that begin here; other traces follow their parent."""
    signals: tuple[Literal["traces", "metrics", "logs"], ...] = ("traces", "metrics", "logs")
    interval: Duration = 5.0
    """Time between exports of spans and logs."""
    metrics_interval: Duration = 60.0
    timeout: Duration = 5.0
    """Time limit of a request, also of the last export at shutdown."""
    max_queued: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """The most waiting spans, and log records; further ones are dropped and counted."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level of sent log records."""

    def __post_init__(self) -> None:
        """Check address, headers and numbers.

        :raises ValueError: names the setting, and what would be right
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
        """Return the headers by name.

        :raises ValueError: an item is not ``name=value``; the text does not show it
        """
        headers: dict[str, str] = {}
        for item in self.headers.reveal().split(",") if self.headers is not None else ():
            name, equals, value = item.strip().partition("=")
            value = unquote(value.strip())
            if not equals or not name.strip() or not (name + value).isprintable():
                raise ValueError('headers are not understood; expected "name=value,name=value"')
            headers[name.strip()] = value
        return headers
