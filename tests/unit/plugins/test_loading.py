"""Plugins: found, checked, ordered, called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from corten.app import App
from corten.app.internals import internals_of
from corten.errors import PluginError, SettingsError
from corten.hookspecs import hookimpl
from corten.plugins import Resource
from corten.plugins.loading import Plugins
from corten.settings import Section


class Good:
    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        return []


def load(*plugins: object) -> Plugins:
    loaded = Plugins(plugins)
    loaded.load(autoload=False)
    return loaded


def named(name: str, *requires: str, **members: object) -> object:
    return type(name, (Good,), {"name": name, "requires": requires, **members})


def test_a_class_is_made_an_object_and_an_object_is_taken() -> None:
    loaded = load(named("b"), Good())
    assert [(each.name, each.order, each.hooks, each.origin) for each in loaded.records] == [
        ("b", 1, ("corten_resources",), "passed in code"),
        ("good", 2, ("corten_resources",), "passed in code"),
    ]


def test_plugins_come_after_those_they_require() -> None:
    loaded = load(named("a", "c"), named("b"), named("c"))
    assert [each.name for each in loaded.records] == ["b", "c", "a"]


class Unknown(Good):
    @hookimpl
    def corten_resource(self) -> None: ...


class Unmarked(Good):
    def corten_tasks(self, app: object) -> None: ...


class Wrapper(Good):
    @hookimpl(wrapper=True)
    def corten_tasks(self) -> Any:
        yield


class Early(Good):
    @hookimpl(tryfirst=True)
    def corten_tasks(self) -> None: ...


class Coroutine(Good):
    @hookimpl
    async def corten_tasks(self) -> None: ...


class Arguments(Good):
    @hookimpl
    def corten_tasks(self, application: object) -> None: ...


class Explodes:
    def __init__(self) -> None:
        raise RuntimeError("no licence")


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (Unknown, "has an unknown hook corten_resource; did you mean 'corten_resources'?"),
        (Unmarked, "corten_tasks is not marked: put @hookimpl of corten.hookspecs above it"),
        (Wrapper, "corten_tasks is marked wrapper: hooks are called one by one"),
        (Early, "corten_tasks is marked tryfirst"),
        (Coroutine, "corten_tasks is a coroutine function"),
        (Arguments, "does not follow the hook manual"),
        (Explodes, "cannot be loaded: RuntimeError: no licence"),
        (named("x", requires_corten=">=99"), "requires_corten, which is gone: state the versions of corten"),
        (named("x", "nobody"), "requires the plugin 'nobody', which is not there"),
        (named("x", "x"), "requires itself: x requires x"),
        (named("x", requires="kafka"), "requires is 'kafka'; expected a tuple of names"),
        (object, "implements no hook"),
    ],
)
def test_a_plugin_that_is_broken_is_named_with_the_cause(plugin: object, words: str) -> None:
    with pytest.raises(PluginError) as caught:
        load(named("a"), plugin)
    assert words in str(caught.value)
    assert "(passed in code)" in str(caught.value)


def test_all_that_are_broken_are_said_at_once_and_listed() -> None:
    loaded = Plugins([Unknown, Unmarked, Good])
    with pytest.raises(ExceptionGroup) as caught:
        loaded.load(autoload=False)
    assert sorted(error.plugin for error in caught.value.exceptions if isinstance(error, PluginError)) == [
        "unknown",
        "unmarked",
    ]
    assert [(each.name, each.state) for each in loaded.records] == [
        ("good", "active"),
        ("unknown", "failed"),
        ("unmarked", "failed"),
    ]


def test_a_name_is_taken_once() -> None:
    with pytest.raises(PluginError, match="the name is taken by another plugin .passed in code"):
        load(named("a"), named("a"))


class Result:
    def __init__(self, result: object) -> None:
        self.result = result

    @hookimpl
    def corten_resources(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "corten_resources returned NoneType; expected a sequence of Resource"),
        ([3], "corten_resources returned a int among others; expected a sequence of Resource"),
        (KeyError("dsn"), "corten_resources failed: KeyError: 'dsn'"),
    ],
)
def test_a_hook_that_returns_nonsense_is_said(result: object, words: str) -> None:
    loaded = load(Result(result))
    with pytest.raises(PluginError, match=words):
        list(loaded.each("corten_resources", Resource, app=None))
    assert loaded.records[0].state == "failed"


class Server(msgspec.Struct, frozen=True):
    dsn: str | None = None


class Configured:
    name = "configured"

    @hookimpl
    def corten_settings(self) -> Sequence[Section]:
        return [Section("server", Server, activated_by=("dsn",))]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        pytest.fail("an inactive plugin is not asked")


def test_a_plugin_that_is_not_configured_is_inactive_and_not_asked() -> None:
    app = App("test", plugins=[Configured], autoload=False, config=None)
    app.load()
    (record,) = app.plugins
    assert (record.state, record.sections) == ("inactive", ("server",))
    assert app.call_hook("corten_resources") == []
    assert internals_of(app).plugins.hint_for_inactive() == "; not configured: configured; set server.dsn"


def test_a_plugin_that_is_not_configured_is_an_error_where_it_is_required() -> None:
    app = App("test", plugins=[Configured, named("x", "configured")], autoload=False, config=None)
    with pytest.raises(PluginError, match="requires the plugin 'configured', which is not configured; set server.dsn"):
        app.load()


class Needed:
    """Something that the plugin of this module would provide."""


@pytest.mark.anyio
async def test_what_requires_a_plugin_that_is_not_configured_says_what_to_set() -> None:
    app = App("test", plugins=[Configured], autoload=False, config=None)

    @asynccontextmanager
    async def opened(app: App[Any]) -> AsyncIterator[int]:
        yield 1

    app.add(Resource(int, opened, requires=(Needed,)))
    with pytest.raises(SettingsError) as caught:
        await app.__aenter__()
    assert str(caught.value.problems[0]) == (
        "configured: resource int requires Needed, and the plugin 'configured' is not configured; expected server.dsn"
    )


def test_a_section_is_one_plugins() -> None:
    class Other(Configured):
        name = "other"

    app = App("test", plugins=[Configured, Other], autoload=False, config=None)
    with pytest.raises(PluginError, match=r"'other' .*claims the section \[server\], which belongs to 'configured'"):
        app.load()


def test_what_autoload_names_must_be_installed() -> None:
    app = App("test", autoload=["nowhere"], config=None)
    with pytest.raises(PluginError, match="'nowhere' .not found.: is asked for by autoload but not installed"):
        app.load()


def test_a_plugin_that_exits_is_named_and_does_not_end_the_program() -> None:
    class Exits:
        def __init__(self) -> None:
            raise SystemExit(3)

    app: App[None] = App("test", plugins=[Exits], autoload=False, config=None)
    with pytest.raises(PluginError, match=r"plugin 'exits' \(passed in code\): cannot be loaded: SystemExit: 3"):
        app.load()
