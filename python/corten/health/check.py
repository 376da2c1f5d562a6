"""Health checks and their findings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

Probe = Literal["live", "ready", "startup"]
"""The groups that an orchestrator asks for."""

Status = Literal["up", "degraded", "down"]
"""``degraded``: works with less. Reports show it, but it fails no probe."""


class Finding(msgspec.Struct, frozen=True):
    """The result of a check."""

    status: Status
    message: str = ""
    details: Mapping[str, str | int | float | bool | None] = {}


class Check(msgspec.Struct, frozen=True):
    """One health check.

    ``run`` returns None (up) or a finding. An error counts as ``down``, with the error's text.
    """

    name: str
    run: Callable[[], Awaitable[Finding | None]]
    probes: tuple[Probe, ...] = ("ready",)
    timeout: float = 2.0
    """Seconds after which the check counts as down."""
    fresh: float = 1.0
    """Seconds for which a finding is used again without another run."""
    critical: bool = True
    """Whether ``down`` fails the check's probes; otherwise it degrades them."""
