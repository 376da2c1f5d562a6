"""Finds plugins: entry points of installed distributions, and plugins passed in code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from corten.errors import PluginError
from corten.spelling import suggestion

GROUP = "corten.plugins"
"""The entry-point group."""


class Candidate(msgspec.Struct, frozen=True):
    """A plugin that was found and not imported yet."""

    name: str
    origin: str
    make: Callable[[], Any]
    """Imports the plugin and makes an object; raises the plugin's errors."""
    distribution: str = ""
    version: str = ""


def installed(wanted: bool | Sequence[str] = True) -> list[Candidate]:
    """Return the wanted plugins of installed distributions, by name, without importing them.

    :param wanted: True for all, False for none, or names
    :raises PluginError: a wanted name is not installed
    """
    if wanted is False:
        return []
    from importlib.metadata import entry_points  # a tenth of our import time, needed only here

    found: list[Candidate] = []
    for entry in entry_points(group=GROUP):
        distribution, version = (entry.dist.name, entry.dist.version) if entry.dist is not None else ("", "")
        origin = f"entry point {entry.name} = {entry.value}"
        if distribution:
            origin += f" of {distribution} {version}"
        found.append(Candidate(entry.name, origin, _maker(entry.load), distribution, version))
    found.sort(key=lambda each: (each.name, each.distribution))
    if wanted is True:
        return found
    names = [each.name for each in found]
    for name in wanted:
        if name not in names:
            raise PluginError(name, f"is asked for by autoload but not installed{suggestion(name, names)}", "not found")
    return [each for each in found if each.name in wanted]


def passed(plugin: object) -> Candidate:
    """Return the candidate for a plugin passed in code: an object or a class."""
    return Candidate(_name_of(plugin), "passed in code", _maker(lambda: plugin))


def _maker(load: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        loaded = load()
        if isinstance(loaded, type) or inspect.isfunction(loaded):
            return loaded()
        return loaded

    return make


def _name_of(plugin: object) -> str:
    """``name`` where it says so, else ``postgres`` for a PostgresPlugin."""
    name = getattr(plugin, "name", None)
    if isinstance(name, str) and name:
        return name
    if inspect.isfunction(plugin) or inspect.ismodule(plugin):
        return plugin.__name__.rpartition(".")[2]
    kind = plugin if isinstance(plugin, type) else type(plugin)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()
    return words.removesuffix("_plugin") or words
