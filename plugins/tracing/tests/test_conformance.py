"""The plugin keeps to the hook manual."""

from __future__ import annotations

from corten.testing import check_plugin
from corten_tracing import TracingPlugin


def test_it_keeps_to_the_manual() -> None:
    check_plugin(TracingPlugin, {"tracing.endpoint": "http://127.0.0.1:9", "tracing.timeout": 0.5})
