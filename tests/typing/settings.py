"""Sections give their instances the type that they name. Checked, not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import msgspec

from corten import App
from corten.plugins import Instance, Instances
from corten.settings import DEFAULT, Section


class StoreSettings(msgspec.Struct, frozen=True):
    url: str = ""


class Store: ...


SECTION = Section("store", StoreSettings, instances=True)


def read(app: App[None]) -> str:
    assert_type(app.section(SECTION), Mapping[str, StoreSettings])
    return app.section(SECTION)[DEFAULT].url


def opened(app: App[None]) -> list[Store]:
    instances = Instances(SECTION, Store)
    found = instances.opened(app)
    assert_type(found, list[Instance[StoreSettings, Store]])
    return [each.resource for each in found if each.chosen(None)]
