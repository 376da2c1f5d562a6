"""Makes a candidate a plugin: imports, instantiates and checks it against the hook manual."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pluggy
from pluggy import HookImpl

from corten.errors import PluginError, described
from corten.hookspecs import Hooks
from corten.plugins.discovery import Candidate
from corten.plugins.record import PluginRecord, PluginState
from corten.settings.section import Section
from corten.spelling import suggestion

HOOKS = tuple(sorted(name for name in vars(Hooks) if name.startswith("corten_")))
"""The names of all hooks."""


class Plugin:
    """A registered plugin with its state."""

    def __init__(self, candidate: Candidate, instance: Any, implementations: dict[str, HookImpl]) -> None:
        self.name = candidate.name
        self.candidate = candidate
        self.instance = instance
        self.implementations = implementations
        self.requires = tuple[str, ...](getattr(instance, "requires", ()))
        self.backends = tuple[str, ...](getattr(instance, "backends", ()))
        self.order = 0
        self.sections: tuple[Section[Any], ...] = ()
        self.state: PluginState = "active"
        self.error = ""

    @property
    def origin(self) -> str:
        """Entry point, distribution and version; or ``passed in code``."""
        return self.candidate.origin

    def failed(self, message: str) -> PluginError:
        """Note that it failed, and why; the error is to be raised."""
        self.state = "failed"
        self.error = message
        return PluginError(self.name, message, self.origin)

    def call(self, hook: str, arguments: dict[str, Any]) -> Any:
        """Call its implementation of a hook.

        :raises PluginError: it raised; with the cause
        """
        implementation = self.implementations[hook]
        try:
            return implementation.function(*(arguments[name] for name in implementation.argnames))
        except PluginError:
            raise
        except Exception as error:
            raise self.failed(f"{hook} failed: {described(error)}") from error

    @property
    def record(self) -> PluginRecord:
        """Its line in ``corten plugins``."""
        return PluginRecord(
            name=self.name,
            origin=self.origin,
            distribution=self.candidate.distribution,
            version=self.candidate.version,
            hooks=tuple(sorted(self.implementations)),
            order=self.order,
            sections=tuple(section.name for section in self.sections),
            state=self.state,
            error=self.error,
        )


def manager() -> pluggy.PluginManager:
    """A plugin manager that knows the hooks."""
    found = pluggy.PluginManager("corten")
    found.add_hookspecs(Hooks)
    return found


def register(manager: pluggy.PluginManager, candidate: Candidate) -> Plugin:
    """Import, make and check a plugin.

    :raises PluginError: it can't be imported or made, doesn't work with this Corten, or has a hook that is none
    """

    def broken(message: str) -> PluginError:
        return PluginError(candidate.name, message, candidate.origin)

    try:
        instance = candidate.make()
    except (Exception, SystemExit) as error:  # a module that is a script would end the program without a word
        raise broken(f"cannot be loaded: {described(error)}") from error
    if hasattr(instance, "requires_corten"):
        raise broken(
            "has the attribute requires_corten, which is gone: state the versions of corten that it works with in the "
            'requirements of its distribution, such as dependencies = ["corten>=0.1"]'
        )
    for word in ("requires", "backends"):
        names = getattr(instance, word, ())
        if isinstance(names, str) or not all(isinstance(each, str) for each in names):
            raise broken(f'{word} is {names!r}; expected a tuple of names, such as {word} = ("{names}",)')
    for name, method in _hook_like(instance):
        if (unclean := _unclean(name, method)) is not None:
            raise broken(unclean)
    try:
        manager.register(instance, candidate.name)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise broken(f"does not follow the hook manual: {' '.join(str(error).split())}") from error
    implementations: dict[str, HookImpl] = {}
    for hook in HOOKS:
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin is instance:
                implementations[hook] = implementation
    if not implementations:
        raise broken("implements no hook; mark its methods with @corten.hookspecs.hookimpl")
    return Plugin(candidate, instance, implementations)


def _hook_like(instance: Any) -> Iterator[tuple[str, Any]]:
    for name in dir(instance):
        if name.startswith("corten_"):
            yield name, inspect.getattr_static(instance, name)


def _unclean(name: str, method: Any) -> str | None:
    """Return the problem of a method that looks like a hook, or None."""
    function = getattr(method, "__func__", method)
    marks: dict[str, Any] | None = getattr(function, "corten_impl", None)
    hook: str = (marks or {}).get("specname") or name
    if hook not in HOOKS:
        return f"has an unknown hook {hook}{suggestion(hook, HOOKS)}"
    if marks is None:
        return f"{name} is not marked: put @hookimpl of corten.hookspecs above it"
    for mark in ("wrapper", "hookwrapper", "tryfirst", "trylast"):
        if marks.get(mark):
            return f"{name} is marked {mark}: hooks are called one by one, in the order of what plugins require"
    if inspect.iscoroutinefunction(function):
        return f"{name} is a coroutine function: hooks are sync functions that return descriptions"
    return None
