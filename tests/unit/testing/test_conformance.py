"""The check that plugins of other distributions use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from corten.app import App
from corten.errors import PluginError
from corten.health import Check, Finding
from corten.hookspecs import hookimpl
from corten.plugins import Resource
from corten.settings import Section
from corten.testing import check_plugin


class SearchSettings(msgspec.Struct, frozen=True):
    url: str | None = None


class Search: ...


class SearchPlugin:
    status: Any = "up"

    @hookimpl
    def corten_settings(self) -> Sequence[Section]:
        return [Section("search", SearchSettings, activated_by=("url",))]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        return [Resource(Search, self.opened)]

    @asynccontextmanager
    async def opened(self, app: App[Any]) -> AsyncIterator[Search]:
        yield Search()

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        async def run() -> Finding:
            return Finding(self.status, "as told")

        return [Check("search", run)]


def test_a_plugin_that_keeps_to_the_manual_passes() -> None:
    check_plugin(SearchPlugin)
    check_plugin(SearchPlugin, {"search.url": "http://localhost"})


class Mutable(msgspec.Struct):
    url: str = ""


class MutableSettings(SearchPlugin):
    @hookimpl
    def corten_settings(self) -> Sequence[Section]:
        return [Section("search", Mutable)]


class Unsure(SearchPlugin):
    asked = 0

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        self.asked += 1
        return [Resource(Search, self.opened, f"number {self.asked}")]


class Down(SearchPlugin):
    status = "down"


class Misspelt(SearchPlugin):
    @hookimpl
    def corten_settings(self) -> Sequence[Section]:
        return [Section("search", SearchSettings, activated_by=("uri",))]


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (SearchPlugin(), "is not a class"),
        (MutableSettings, "Mutable is not frozen"),
        (Misspelt, "is activated by 'uri', which SearchSettings does not have"),
        (Unsure, "returned something else when called again"),
        (Down, "checks are down although the plugin is configured: {'search': 'as told'}"),
    ],
)
def test_the_error_names_the_rule_that_a_plugin_breaks(plugin: Any, words: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_plugin(plugin, {"search.url": "http://localhost"})
    assert words in str(caught.value)


def test_a_plugin_that_cannot_be_loaded_says_why() -> None:
    class Broken(SearchPlugin):
        requires_corten = ">=99"

    with pytest.raises(PluginError, match="requires_corten, which is gone"):
        check_plugin(Broken)
