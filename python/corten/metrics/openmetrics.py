"""The text format: OpenMetrics 1.0, as Prometheus and its kin read it."""

from __future__ import annotations

from corten import _core
from corten.metrics.snapshot import Snapshot

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def render(snapshot: Snapshot) -> str:
    """A snapshot as OpenMetrics text, ending with ``# EOF``.

    :raises ValueError: the snapshot, which may have come from another process, holds what can't be exposed
    """
    return _core.render_snapshot(snapshot.instruments)
