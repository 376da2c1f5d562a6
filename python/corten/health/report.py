"""What the checks found, together: the answer to a probe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from corten.health.check import Check, Finding, Status

_encoder = msgspec.json.Encoder(order="deterministic")


class CheckReport(msgspec.Struct, frozen=True):
    """What one check found, and when."""

    status: Status
    message: str = ""
    seconds: float = 0.0
    """How long the check took."""
    details: Mapping[str, str | int | float | bool | None] = {}
    at: float = 0.0
    """Wall-clock time when it was done, in seconds since the epoch."""
    critical: bool = True


class Report(msgspec.Struct, frozen=True):
    """What all checks of a probe found.

    ``status`` is ``down`` where a critical check is down; ``degraded`` where anything else is not up; else ``up``.
    """

    status: Status
    checks: Mapping[str, CheckReport] = {}

    @property
    def passed(self) -> bool:
        """Whether the probe passes: only ``down`` fails it."""
        return self.status != "down"

    def json(self) -> bytes:
        """The report as JSON."""
        return _encoder.encode(self)


def overall(reports: Iterable[CheckReport]) -> Status:
    """One status for many checks."""
    status: Status = "up"
    for report in reports:
        if report.status == "down" and report.critical:
            return "down"
        if report.status != "up":
            status = "degraded"
    return status


def report_of(check: Check, finding: Finding, *, seconds: float, at: float) -> CheckReport:
    """What ``check`` found, with the time it took."""
    return CheckReport(finding.status, finding.message, seconds, finding.details, at, check.critical)
