"""The plugin keeps to the hook manual."""

from __future__ import annotations

from corten.testing import check_plugin
from corten_ops import OpsPlugin


def test_it_keeps_to_the_manual() -> None:
    check_plugin(OpsPlugin, {"ops.port": 0})
