"""The table ``[health]``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from corten.settings import Duration

Fraction = Annotated[float, msgspec.Meta(gt=0, le=1, description="a share between 0 and 1")]
SystemCheck = Literal["memory", "disk", "cpu", "loop"]


class HealthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds of the system checks; all of them are shares of what there is, or durations."""

    checks: tuple[SystemCheck, ...] = ("memory", "disk", "cpu", "loop")
    """Which system checks are made."""
    critical: tuple[SystemCheck, ...] = ()
    """Which of them fail ``/readyz`` when they are down; the others only degrade it."""
    memory_degraded: Fraction = 0.90
    """Share of the memory (of the container's limit where there is one) that is in use."""
    memory_down: Fraction = 0.97
    disk_paths: tuple[str, ...] = ("/",)
    """Folders whose file systems are looked at."""
    disk_degraded: Fraction = 0.90
    disk_down: Fraction = 0.98
    cpu_degraded: Fraction = 0.95
    """Share of the machine's CPU time in use since the last look; the CPU is never ``down``."""
    loop_degraded: Duration = 0.25
    """The longest delay of the event loop within the last ten seconds."""
    loop_down: Duration = 2.0
    blocked_after: Duration = 1.0
    """How long the event loop may be blocked before the stack that blocks it is logged; 0 turns this off."""

    def __post_init__(self) -> None:
        """Hold the pairs of thresholds in their order.

        :raises ValueError: a ``…_degraded`` is above its ``…_down``
        """
        for name in ("memory", "disk", "loop"):
            degraded, down = getattr(self, f"{name}_degraded"), getattr(self, f"{name}_down")
            if degraded > down:
                raise ValueError(f"{name}_degraded is {degraded}; expected at most {name}_down, which is {down}")
        if self.blocked_after < 0:
            raise ValueError(f"blocked_after is {self.blocked_after}; expected 0 (off) or more")
