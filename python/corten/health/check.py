"""A health check as data, and what it found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

Probe = Literal["live", "ready", "startup"]
"""The groups that an orchestrator asks for."""

Status = Literal["up", "degraded", "down"]
"""``degraded`` works with less: it does not fail a probe, it is shown."""


class Finding(msgspec.Struct, frozen=True):
    """What a check found when it ran."""

    status: Status
    message: str = ""
    details: Mapping[str, str | int | float | bool | None] = {}


class Check(msgspec.Struct, frozen=True):
    """One health check.

    ``run`` returns None (up) or a finding; an error is ``down`` with the error's words.
    """

    name: str
    run: Callable[[], Awaitable[Finding | None]]
    probes: tuple[Probe, ...] = ("ready",)
    timeout: float = 2.0
    """Seconds after which the check counts as down."""
    fresh: float = 1.0
    """Seconds for which a finding is given out again without running the check."""
    critical: bool = True
    """Whether ``down`` fails its probes; otherwise it only degrades them."""
