"""The text format: OpenMetrics 1.0, which Prometheus reads."""

from __future__ import annotations

from corten import _core
from corten.metrics.snapshot import Snapshot

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def render(snapshot: Snapshot) -> str:
    """Write a snapshot as OpenMetrics text, which ends with ``# EOF``.

    :raises ValueError: the snapshot, perhaps of another process, has a name or value that can't be exposed
    """
    return _core.render_snapshot(snapshot.instruments)
