"""Every plugin that is installed keeps to the hook manual."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import pytest

from corten.plugins.discovery import GROUP, installed
from corten.plugins.loading import Plugins
from corten.testing import check_plugin

FOUND = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


@pytest.mark.parametrize("entry", FOUND, ids=[entry.name for entry in FOUND])
def test_it_follows_the_manual(entry: EntryPoint) -> None:
    check_plugin(entry.load())


def test_all_of_them_go_together() -> None:
    loaded = Plugins()
    loaded.load(autoload=True)
    names = [section.name for section in loaded.sections()]
    assert len(names) == len(set(names))
    assert sorted(record.name for record in loaded.records) == [each.name for each in installed()]
    assert all(record.state == "active" for record in loaded.records)
