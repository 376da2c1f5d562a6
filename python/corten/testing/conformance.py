"""The conformance check for plugins, for the tests of their distributions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import msgspec

from corten.app import App
from corten.app.internals import internals_of
from corten.health import Check
from corten.metrics.snapshot import Collector
from corten.plugins.descriptions import Exporter, Resource, Task
from corten.plugins.loading import Plugins
from corten.settings import Section

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_plugin(
    plugin: type[Any], arguments: Mapping[str, object] | None = None, *, with_plugins: Sequence[object] = ()
) -> None:
    """Check a plugin's class against the hook manual.

    The plugin loads; each call of the class makes a new object; its sections are frozen structs, and valid without any
    setting. With ``arguments`` Apps are also started with it: hooks return equal results each time, checks and
    collectors work, resources close, and a second App in the process does not disturb the first.

    :param arguments: settings by dotted path that make the plugin active; None: nothing is opened
    :param with_plugins: other plugins that it requires
    :raises AssertionError: a check failed; names it
    :raises CortenError: the plugin cannot be loaded or started
    """
    assert isinstance(plugin, type), f"{plugin!r} is not a class: an entry point names a class, made anew for each App"
    assert plugin() is not plugin(), f"{plugin.__name__} returns one object twice: each App needs its own"
    loaded = Plugins([*with_plugins, plugin])
    loaded.load(autoload=False)
    for section in loaded.sections():
        _check_section(section)
    _app("not configured", plugin, {}, with_plugins).load()
    if arguments is None:
        return
    backends = getattr(plugin, "backends", ()) or ("asyncio",)
    anyio.run(_check_running, plugin, arguments, with_plugins, backend=backends[0])


def _app(name: str, plugin: type[Any], arguments: Mapping[str, object], with_plugins: Sequence[object]) -> App[None]:
    return App(name, plugins=[*with_plugins, plugin], autoload=False, config=None, arguments=arguments)


def _check_section(section: Section[Any]) -> None:
    where = f"section [{section.name}]"
    assert _NAME.fullmatch(section.name), f"{where}: its name is no word such as 'postgres'"
    assert issubclass(section.type, msgspec.Struct), f"{where}: its type is no msgspec.Struct"
    assert section.type.__struct_config__.frozen, f"{where}: {section.type.__name__} is not frozen"
    fields = section.type.__struct_fields__
    for field in section.activated_by:
        assert field in fields, f"{where} is activated by {field!r}, which {section.type.__name__} does not have"


async def _check_running(plugin: type[Any], arguments: Mapping[str, object], with_plugins: Sequence[object]) -> None:
    first = _app("first", plugin, arguments, with_plugins)
    plugins = internals_of(first).plugins
    async with first:
        assert all(each.state == "active" for each in first.plugins), "the arguments do not make the plugin active"
        for hook, kind in (
            ("corten_resources", Resource),
            ("corten_health_checks", Check),
            ("corten_metrics", Collector),
            ("corten_exporters", Exporter),
            ("corten_tasks", Task),
        ):
            once = [_key(each) for _, each in plugins.each(hook, kind, app=first)]
            again = [_key(each) for _, each in plugins.each(hook, kind, app=first)]
            assert once == again, f"{hook} returned something else when called again: {once} and {again}"
        report = await first.health.run(None)
        down = {name: check.message for name, check in report.checks.items() if check.status == "down"}
        assert not down, f"checks are down although the plugin is configured: {down}"
        first.registry.snapshot()
        async with _app("second", plugin, arguments, with_plugins) as second:
            assert second.state == "running"
        report = await first.health.run(None)
        assert report.status != "down", "a second App that stopped has closed resources of the first App"
    assert first.state == "stopped", f"the App with it is {first.state}: {first.failure}"


def _key(description: Any) -> tuple[str, ...]:
    """Return the parts of a description that must be equal each time."""
    if isinstance(description, Resource):
        return description.provides.__qualname__, description.name
    return (description.name,)
