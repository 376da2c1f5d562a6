"""Problems that would stop an App from starting, found without starting anything."""

from __future__ import annotations

import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any, Literal

import msgspec

from corten.app import App
from corten.app.internals import internals_of
from corten.app.lifecycle import exit_codes
from corten.app.pipelines import pipeline_policies, prepared
from corten.app.resources import OwnedResource
from corten.app.settings.reload import check_watching
from corten.asgi.server import HttpServer
from corten.cli.addresses import Address, listening, servers, unreachable, why_not_free
from corten.errors import CortenError, PluginError, PolicyOrderWarning, SettingsError, SettingsProblem
from corten.pipeline.layers.chaos import announcement, without_chaos
from corten.plugins import DevService, Resource
from corten.policies.combined.order_warnings import misplaced
from corten.settings import Settings

OLDEST_PYTHON = (3, 11)


class Diagnosis(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    subject: str
    status: Literal["ok", "warning", "problem"]
    message: str
    fix: str = ""


def installation() -> Iterator[Diagnosis]:
    """Python and the compiled core."""
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield Diagnosis("python", "problem", f"Python {version} is too old", "use Python 3.11 or later")
    else:
        yield Diagnosis("python", "ok", f"Python {version}")
    library = metadata.version("corten")
    core = getattr(import_module("corten._core"), "__version__", "unknown")
    if core != library:
        fix = f"install both anew: pip install --force-reinstall corten=={library} (in a clone: maturin develop)"
        yield Diagnosis("core", "problem", f"corten is {library} and its compiled core is {core}", fix)
    else:
        yield Diagnosis("core", "ok", f"corten {library}, core {core}")


class Doctor:
    """Looks at one App."""

    def __init__(self, app: App[Any], *, backend: str, connect: bool, timeout: float) -> None:
        self._app = app
        self._internals = internals_of(app)
        self._backend = backend
        self._connect = connect
        self._timeout = timeout

    def diagnoses(self) -> Iterator[Diagnosis]:
        """All of them; what depends on something broken is left out."""
        yield from self._broken_plugins()
        settings_found = list(self._settings())  # which plugins are active shows only now
        yield from self._plugins()
        yield from settings_found
        yield from self._composition()
        try:
            settings = self._internals.settings.loaded
        except CortenError:
            return
        yield from self._consumers()
        yield from self._dead_letters()
        yield from self._ports(settings)
        if self._connect:
            yield from self._servers(settings)

    def _broken_plugins(self) -> Iterator[Diagnosis]:
        # What is wrong with the settings is told with all else that is wrong with them.
        yield from (
            each for each in _raised(self._internals.settings.sections, "plugins") if each.subject != "settings"
        )

    def _plugins(self) -> Iterator[Diagnosis]:
        for record in self._app.plugins:
            if record.state != "failed":
                shown = f"{record.distribution} {record.version}".strip() or record.origin
                away = "; not configured" if record.state == "inactive" else ""
                yield Diagnosis(f"plugin {record.name}", "ok", shown + away)

    def _settings(self) -> Iterator[Diagnosis]:
        app = self._app
        if any(record.state == "failed" for record in app.plugins):
            yield from self._settings_without_broken_plugins()
            return
        problems = list(_raised(app.load, "settings"))
        yield from problems
        if not problems:
            loaded = self._internals.settings.loaded
            for warning in loaded.warnings:
                yield Diagnosis("settings", "warning", warning)
            count = sum(each.source != "default" for each in loaded.effective())
            file = self._internals.settings.sources.missing()
            away = "" if file is None else f"; there is no {file.absolute()}"
            yield Diagnosis("settings", "ok", f"{count} set, the rest are defaults; see corten config{away}")

    def _settings_without_broken_plugins(self) -> Iterator[Diagnosis]:
        """Check the known sections only: other sections may belong to the broken plugins."""
        try:
            self._internals.settings.sources.load(
                [*self._internals.settings.own_sections(), *self._internals.plugins.sections()]
            )
        except SettingsError as error:
            for each in error.problems:
                found = _problem(each)
                if each.message == "unknown section":
                    found = msgspec.structs.replace(found, status="warning", fix="a broken plugin's, maybe")
                yield found
        except PluginError as error:
            yield Diagnosis(_subject(error), "problem", _words(error), _fix(error))

    def _composition(self) -> Iterator[Diagnosis]:
        """Check resources and their requirements, pipelines and their policies, the event loop."""
        app = self._app
        try:
            _ = self._internals.settings.loaded
        except CortenError:
            return
        yield from _raised(lambda: self._internals.plugins.check_backend(self._backend), "plugins")
        yield from _raised(lambda: pipeline_policies(app, unused=_nothing), "pipelines")
        yield from _raised(lambda: check_watching(self._internals.settings.loaded), "settings")
        yield from self._pipelines()
        resources = [OwnedResource(each, "app", "added in code") for each in self._internals.components.resources]

        def ordered() -> None:
            described = self._internals.plugins.each("corten_resources", Resource, app=app)
            resources.extend(OwnedResource(each, plugin.name, plugin.origin) for plugin, each in described)
            self._internals.life.resources.ordered(resources)

        inactive = [name for record in app.plugins if record.state == "inactive" for name in record.sections]
        for each in _raised(ordered, "resources"):
            of_app = each.subject == "resources"
            fix = f"configure what provides it, or add it to the app{self._or_dev(*inactive)}"
            yield msgspec.structs.replace(each, fix=fix) if of_app else each
        names = ", ".join(str(each).removeprefix("resource ") for each in resources)
        if names:
            yield Diagnosis("resources", "ok", names)

    def _pipelines(self) -> Iterator[Diagnosis]:
        """Find tables without a pipeline, unfit policies, allowed chaos, and odd orders."""
        app = self._app
        unused: list[str] = []
        try:
            found = dict(pipeline_policies(app, unused=unused.append))
        except CortenError:
            return
        for words in unused:
            yield Diagnosis("settings", "warning", words.removeprefix("settings: "), "correct the name, or take it out")
        with warnings.catch_warnings():  # of orders, which are told below
            warnings.simplefilter("ignore", PolicyOrderWarning)
            yield from _raised(lambda: prepared(app, found), "pipelines")
        for name, pipeline in app.pipelines.items():
            policies = found.get(name, pipeline.policies)
            if not self._internals.settings.own.chaos.allowed:
                policies = without_chaos(policies)
            elif said := announcement(policies):
                yield Diagnosis(f"pipeline {name}", "warning", f"chaos is on: {said}", "set chaos.allowed to false")
            for rule in misplaced(policies):
                yield Diagnosis(f"pipeline {name}", "warning", rule.name, rule.reason)

    def _consumers(self) -> Iterator[Diagnosis]:
        """Check for a plugin with message sources, which are known only once resources are open."""
        app = self._app
        own = {source.name for source in self._internals.components.sources}
        active = [record for record in app.plugins if record.state == "active"]
        brought = {record.name for record in active if "corten_message_sources" in record.hooks}
        for consumer in self._internals.components.consumers:
            # A plugin's source bears its name, unless it has several.
            if consumer.source in own or any(consumer.source.startswith(name) for name in brought):
                continue
            installed = any(record.name == consumer.source for record in app.plugins)
            hint = self._internals.plugins.hint(consumer.source).removeprefix("; ")
            install = f"pip install 'corten[{consumer.source}]'"
            yield Diagnosis(
                f"consumer {consumer.name}",
                "problem",
                f"nobody brings messages from {consumer.source!r}",
                (hint if installed and hint else install) + self._or_dev(consumer.source),
            )

    def _dead_letters(self) -> Iterator[Diagnosis]:
        """Check for a plugin with dead-letter stores, which are known only once resources are open."""
        app = self._app
        wanted = self._internals.settings.own.dead_letters.store
        brought = [each for each in app.plugins if "corten_dead_letter_stores" in each.hooks and each.state != "failed"]
        active = [each.name for each in brought if each.state == "active"]
        if wanted in ("", "memory") or any(wanted == name or wanted.startswith(f"{name}.") for name in active):
            return
        plugin = wanted.partition(".")[0]
        inactive = [each.name for each in brought if each.state == "inactive"]
        if plugin in inactive:
            fix = self._internals.plugins.hint(plugin).removeprefix("; ") or f"configure the plugin {plugin!r}"
            fix += self._or_dev(plugin)
        else:
            fix = f"choose one of: {', '.join(['memory', *active, *inactive])}"
        message = f"dead_letters.store: nobody brings the store {wanted!r}"
        yield Diagnosis("dead letters", "problem", message, fix)

    def _or_dev(self, *sections: str) -> str:
        """What ``corten dev`` could do about sections that have no address."""
        offered = {service.section for _, service in self._internals.plugins.each("corten_dev_services", DevService)}
        named = ", ".join(each for each in sections if each in offered)
        return f"; for development: corten dev starts a server for {named}" if named else ""

    def _serving(self) -> Iterator[Address]:
        for task in self._internals.components.tasks:
            server = getattr(task.run, "__self__", None)
            if isinstance(server, HttpServer):
                host, port = server.wanted
                if port:
                    yield Address(f"{task.name}.port", host, port)

    def _ports(self, settings: Settings) -> Iterator[Diagnosis]:
        serving = list(self._serving())
        if serving and find_spec("uvicorn") is None:
            yield Diagnosis("serve", "problem", "uvicorn is not installed", "pip install 'corten[serve]'")
        if serving and self._backend != "asyncio":
            yield Diagnosis("serve", "problem", "serving runs on asyncio only", "leave out --backend")
        for address in [*listening(settings, self._sections()), *serving]:
            owner = address.path.rpartition(".")[0]
            way_out = "choose another port for it" if address in serving else f"set {address.path}"
            why = why_not_free(address)
            if why:
                fix = f"stop what listens there (this app, maybe), or {way_out}"
                yield Diagnosis(f"port {address}", "problem", f"cannot be listened on: {why}", fix)
            else:
                yield Diagnosis(f"port {address}", "ok", f"free for {owner}")

    def _servers(self, settings: Settings) -> Iterator[Diagnosis]:
        addresses = list(servers(settings, self._sections()))
        away = unreachable(addresses, self._timeout)
        for address in addresses:
            subject = f"server {address}"
            if address not in away:
                yield Diagnosis(subject, "ok", f"{address.path} answers")
                continue
            section = address.path.partition(".")[0]
            fix = f"start the server, or correct {address.path}{self._or_dev(section)}"
            message = f"{address.path}: {away[address]}"
            if not address.required:
                message += "; the app starts without it"
            yield Diagnosis(subject, "problem" if address.required else "warning", message, fix)

    def _sections(self) -> list[str]:
        return [name for record in self._app.plugins if record.state == "active" for name in record.sections]


def _nothing(_: str) -> None: ...


def _raised(look: Callable[[], object], subject: str) -> Iterator[Diagnosis]:
    """The problems that looking raises."""
    try:
        look()
    except (CortenError, ExceptionGroup) as error:
        for leaf in exit_codes.leaves(error):
            if isinstance(leaf, SettingsError):
                yield from map(_problem, leaf.problems)
            elif isinstance(leaf, CortenError):
                yield Diagnosis(_subject(leaf, subject), "problem", _words(leaf), _fix(leaf))
            else:
                raise


def _subject(error: BaseException, otherwise: str = "plugins") -> str:
    return f"plugin {error.plugin}" if isinstance(error, PluginError) and error.plugin != "app" else otherwise


def _words(error: CortenError) -> str:
    return f"{error.message} ({error.origin})" if isinstance(error, PluginError) else str(error)


def _fix(error: CortenError) -> str:
    cause = error.__cause__
    if isinstance(cause, ModuleNotFoundError) and cause.name:
        return f"install what it imports ({cause.name}), or the plugin anew with its dependencies"
    if isinstance(error, PluginError) and error.origin != "passed in code":
        return "follow what it says, upgrade or uninstall it, or leave it out: plugins.autoload"
    return "follow what it says"


def _problem(problem: SettingsProblem) -> Diagnosis:
    shown = f" (is {problem.value})" if problem.value else ""
    source = f"  [{problem.source}]" if problem.source else ""
    fix = f"expected {problem.expected}" if problem.expected else ""
    return Diagnosis("settings", "problem", f"{problem.path}: {problem.message}{shown}{source}", fix)
