"""Merges the snapshots of several processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from corten import _core
from corten.metrics.snapshot import Snapshot, instruments_from_core


def merge(snapshots: Sequence[Snapshot], *, gauges: Literal["sum", "last"] = "sum") -> Snapshot:
    """Merge the snapshots of several processes of one program.

    Counters and histograms add up. Gauges add up with ``gauges="sum"``: right where each process has its own part, such
    as connections. With ``"last"`` the last snapshot wins: right where all processes see one thing, such as the length
    of a queue. Merging is associative, but for the rounding of sums.

    :raises ValueError: no snapshot was given, or an instrument differs between them in kind, unit or bounds
    """
    if not snapshots:
        raise ValueError("merge() needs at least one snapshot")
    rows = _core.merge_snapshots([snapshot.instruments for snapshot in snapshots], gauges)
    return Snapshot(
        instruments=instruments_from_core(rows),
        time=max(snapshot.time for snapshot in snapshots),
        started=min(snapshot.started for snapshot in snapshots),
    )
