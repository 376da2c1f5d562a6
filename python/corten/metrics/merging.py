"""Snapshots of several processes as the one of them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from corten import _core
from corten.metrics.snapshot import Snapshot, instruments_from_core


def merge(snapshots: Sequence[Snapshot], *, gauges: Literal["sum", "last"] = "sum") -> Snapshot:
    """One snapshot of what several processes of the same program measured.

    Counters and histograms add up. Gauges add up too, which is right for what each process has of its own, such as
    connections; or the last snapshot given that has the series wins (``"last"``), which is right for what all of them
    see, such as the length of a queue. The order in which snapshots are merged makes no difference, but for ``"last"``
    and the rounding of sums.

    :raises ValueError: no snapshot was given, or an instrument differs between them in kind, unit or bounds
    """
    if not snapshots:
        raise ValueError("there is nothing to merge: give at least one snapshot")
    rows = _core.merge_snapshots([snapshot.instruments for snapshot in snapshots], gauges)
    return Snapshot(
        instruments=instruments_from_core(rows),
        time=max(snapshot.time for snapshot in snapshots),
        started=min(snapshot.started for snapshot in snapshots),
    )
