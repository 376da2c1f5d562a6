"""Control of a bulkhead: its statistics, and resizing."""

from __future__ import annotations

from corten import _core
from corten.pipeline.controls.control import Control
from corten.policies.bulkhead import Bulkhead, BulkheadStatistics
from corten.policies.fields.checks import whole


class BulkheadControl(Control):
    """One bulkhead of a pipeline, or of several by name."""

    def __init__(self, policy: Bulkhead) -> None:
        self.name = policy.name or ""
        """The name by which pipelines share it; empty: it belongs to one pipeline."""
        self.policy = policy
        """The settings; :meth:`resize` does not change them."""
        self.core = _core.Bulkhead(policy.max_concurrent, policy.max_waiting, policy.ageing)

    def become(self, policy: Bulkhead) -> None:
        """Apply another policy; calls that run or wait stay."""
        self.policy = policy
        self.core.set_ageing(policy.ageing)
        self.core.resize(policy.max_concurrent, policy.max_waiting)

    def __repr__(self) -> str:
        seen = self.statistics()
        name = f" {self.name!r}" if self.name else ""
        return (
            f"<bulkhead{name}: {seen.running} of {seen.max_concurrent} running, "
            f"{seen.waiting} of {seen.max_waiting} waiting>"
        )

    def resize(self, max_concurrent: int | None = None, max_waiting: int | None = None) -> None:
        """Change how many calls may run and wait; None: no change.

        The size applies until policies are configured again. Running and waiting calls stay: waiters get new places,
        and a smaller bulkhead shrinks as calls end.

        :raises ValueError: ``max_concurrent`` is less than 1, or ``max_waiting`` less than 0
        """
        seen = self.statistics()
        max_concurrent = seen.max_concurrent if max_concurrent is None else max_concurrent
        max_waiting = seen.max_waiting if max_waiting is None else max_waiting
        whole("bulkhead", "max_concurrent", max_concurrent, 1)
        whole("bulkhead", "max_waiting", max_waiting, 0)
        self.core.resize(max_concurrent, max_waiting)

    def statistics(self) -> BulkheadStatistics:
        """Return current calls and places, and the counts."""
        return BulkheadStatistics(*self.core.statistics(), self.name)
