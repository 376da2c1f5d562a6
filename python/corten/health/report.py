"""Reports of checks: the answer to a probe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from corten.health.check import Status

_encoder = msgspec.json.Encoder(order="deterministic")


class CheckReport(msgspec.Struct, frozen=True):
    """The result of one check, with its time."""

    status: Status
    message: str = ""
    seconds: float = 0.0
    """Duration of the check."""
    details: Mapping[str, str | int | float | bool | None] = {}
    at: float = 0.0
    """Wall-clock time of the end of the check, in seconds since the epoch."""
    critical: bool = True


class Report(msgspec.Struct, frozen=True):
    """The results of all checks of a probe.

    ``status`` is ``down`` if a critical check is down, else ``degraded`` if any check is not up, else ``up``.
    """

    status: Status
    checks: Mapping[str, CheckReport] = {}

    @property
    def passed(self) -> bool:
        """Whether the probe passes: only ``down`` fails it."""
        return self.status != "down"

    def json(self) -> bytes:
        """Encode the report as JSON."""
        return _encoder.encode(self)


def overall(reports: Iterable[CheckReport]) -> Status:
    """Return one status for all checks."""
    status: Status = "up"
    for report in reports:
        if report.status == "down" and report.critical:
            return "down"
        if report.status != "up":
            status = "degraded"
    return status
