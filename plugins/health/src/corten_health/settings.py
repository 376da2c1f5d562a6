"""The table ``[health]``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from corten.settings import Duration

Fraction = Annotated[float, msgspec.Meta(gt=0, le=1, description="a share between 0 and 1")]
SystemCheck = Literal["memory", "disk", "cpu", "loop"]


class HealthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds of the system checks: shares of a whole, or durations."""

    checks: tuple[SystemCheck, ...] = ("memory", "disk", "cpu", "loop")
    """The system checks to make."""
    critical: tuple[SystemCheck, ...] = ()
    """Checks that fail ``/readyz`` when down; other checks degrade it."""
    memory_degraded: Fraction = 0.90
    """Used share of the memory, or of the container's limit."""
    memory_down: Fraction = 0.97
    disk_paths: tuple[str, ...] = ("/",)
    """One folder of each file system to check."""
    disk_degraded: Fraction = 0.90
    disk_down: Fraction = 0.98
    cpu_degraded: Fraction = 0.95
    """Used share of the machine's CPU time; the CPU is never ``down``."""
    loop_degraded: Duration = 0.25
    """The longest delay of the event loop in ten seconds."""
    loop_down: Duration = 2.0
    blocked_after: Duration = 1.0
    """Blocked time of the event loop before the log has its stack; 0: never."""

    def __post_init__(self) -> None:
        """Check the order of thresholds.

        :raises ValueError: a ``…_degraded`` is above its ``…_down``
        """
        for name in ("memory", "disk", "loop"):
            degraded, down = getattr(self, f"{name}_degraded"), getattr(self, f"{name}_down")
            if degraded > down:
                raise ValueError(f"{name}_degraded is {degraded}; expected at most {name}_down, which is {down}")
        if self.blocked_after < 0:
            raise ValueError(f"blocked_after is {self.blocked_after}; expected 0 (off) or more")
