"""The plugins of one App: finds, checks, orders and calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from corten.errors import PluginError
from corten.plugins.discovery import Candidate, installed, passed
from corten.plugins.record import PluginRecord
from corten.settings.section import Section
from corten.spelling import suggestion

if TYPE_CHECKING:
    from corten.plugins.plugin import Plugin

T = TypeVar("T")


class Plugins:
    """The plugins in the order of calls. Nothing is searched before :meth:`load`."""

    def __init__(self, in_code: Sequence[object] = ()) -> None:
        self._in_code = tuple(in_code)
        self._ordered: list[Plugin] = []
        self._failures: list[tuple[Candidate, PluginError]] = []

    def load(self, autoload: bool | Sequence[str]) -> None:
        """Find, check and order them.

        :raises PluginError: one can't be loaded or ordered
        :raises ExceptionGroup: of PluginErrors, where there are several
        """
        from corten.plugins.plugin import manager, register

        hooks = manager()
        code = [passed(each) for each in self._in_code]
        taken: dict[str, Candidate] = {}
        plugins: list[Plugin] = []
        for candidate in [*code, *installed(autoload)]:
            first = taken.setdefault(candidate.name, candidate)
            if first is not candidate:
                if first in code and candidate not in code:
                    continue  # whoever passes a plugin in code means it in place of the installed one
                message = f"the name is taken by another plugin ({first.origin})"
                self._failures.append((candidate, PluginError(candidate.name, message, candidate.origin)))
                continue
            try:
                plugins.append(register(hooks, candidate))
            except PluginError as error:
                self._failures.append((candidate, error))
        self._ordered = sorted(plugins, key=lambda plugin: plugin.name)
        self._raise([error for _, error in self._failures])
        self._ordered = self._order(plugins)

    def _order(self, plugins: list[Plugin]) -> list[Plugin]:
        by_name = {plugin.name: plugin for plugin in plugins}
        for plugin in plugins:
            for wanted in plugin.requires:
                if wanted not in by_name:
                    hint = suggestion(wanted, sorted(by_name))
                    raise plugin.failed(f"requires the plugin {wanted!r}, which is not there{hint}")
        from corten.plugins.order import Circle, in_order  # only where plugins are loaded

        requires = {plugin: [by_name[name] for name in plugin.requires] for plugin in plugins}
        try:
            ordered = in_order(plugins, requires, lambda plugin: (plugin.name,))
        except Circle as circle:
            names = [plugin.name for plugin in circle.members]
            raise circle.members[0].failed(f"requires itself: {' requires '.join([*names, names[0]])}") from None
        for place, plugin in enumerate(ordered, start=1):
            plugin.order = place
        return ordered

    def sections(self) -> list[Section[Any]]:
        """The sections of the settings, asked of each plugin.

        :raises PluginError: a plugin raises, or two claim one section
        """
        owners: dict[str, Plugin] = {}
        kind: type[Section[Any]] = Section
        for plugin, section in self.each("corten_settings", kind):
            owner = owners.setdefault(section.name, plugin)
            if owner is not plugin:
                whose = f"belongs to {owner.name!r} ({owner.origin})"
                raise plugin.failed(f"claims the section [{section.name}], which {whose}")
            plugin.sections = (*plugin.sections, section)
        return [section for plugin in self._ordered for section in plugin.sections]

    def activate(self, is_active: Callable[[str], bool]) -> None:
        """Deactivate plugins that have sections but no active instance.

        :raises PluginError: an active plugin requires one that is not
        """
        for plugin in self._ordered:
            if plugin.sections and not any(is_active(section.name) for section in plugin.sections):
                plugin.state = "inactive"
        for plugin in self._ordered:
            for wanted in plugin.requires if plugin.state == "active" else ():
                if any(each.name == wanted for each in self.inactive):
                    raise plugin.failed(f"requires the plugin {wanted!r}, which is not configured{self.hint(wanted)}")

    def check_backend(self, backend: str) -> None:
        """Refuse a backend on which an active plugin's driver doesn't run.

        :raises PluginError: with the sentence that says so
        """
        for plugin in self._ordered:
            if plugin.state == "active" and plugin.backends and backend not in plugin.backends:
                runs = " or ".join(plugin.backends)
                raise plugin.failed(f"its driver runs on {runs} only, and this App is started on {backend}")

    @property
    def inactive(self) -> list[Plugin]:
        """Installed but not configured."""
        return [plugin for plugin in self._ordered if plugin.state == "inactive"]

    def whose(self, kind: type[object]) -> str:
        """Return the inactive plugin whose package defines a type, or an empty text."""
        package = kind.__module__.partition(".")[0]
        packages = {type(plugin.instance).__module__.partition(".")[0]: plugin.name for plugin in self.inactive}
        return packages.get(package, "")

    def hint(self, *names: str) -> str:
        """Return the settings that would activate inactive plugins, all or some by name."""
        settings = [
            f"{section.name}.{field}"
            for plugin in self.inactive
            if not names or plugin.name in names
            for section in plugin.sections
            for field in section.activated_by
        ]
        return f"; set {' or '.join(settings)}" if settings else ""

    def hint_for_inactive(self, likely: str = "") -> str:
        """Return the settings that would activate inactive plugins, as the end of an error text; may be empty.

        :param likely: the plugin that is probably meant; where it is inactive the others are left out
        """
        inactive = [plugin.name for plugin in self.inactive]
        names = [likely] if likely in inactive else inactive
        return f"; not configured: {', '.join(names)}{self.hint(*names)}" if names else ""

    def call(self, hook: str, **arguments: Any) -> Iterator[tuple[Plugin, Any]]:
        """Call a hook plugin by plugin; of inactive plugins only the settings and dev-service hooks.

        :raises PluginError: one raised; with the cause
        """
        asked_of_all = hook in ("corten_settings", "corten_dev_services")
        for plugin in self._ordered:
            if hook in plugin.implementations and (asked_of_all or plugin.state == "active"):
                yield plugin, plugin.call(hook, arguments)

    def each(self, hook: str, kind: type[T], **arguments: Any) -> Iterator[tuple[Plugin, T]]:
        """Call a hook and yield each description that the plugins return.

        :raises PluginError: one raised, or returned anything but a sequence of ``kind``
        """
        for plugin, result in self.call(hook, **arguments):
            wanted = f"a sequence of {kind.__name__}"
            if not isinstance(result, Sequence) or isinstance(result, str | bytes):
                raise plugin.failed(f"{hook} returned {type(result).__name__}; expected {wanted}")
            for item in cast("Sequence[object]", result):
                if not isinstance(item, kind):
                    raise plugin.failed(f"{hook} returned a {type(item).__name__} among others; expected {wanted}")
                yield plugin, item

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """All found plugins in the order of calls; plugins that failed to load come last."""
        broken = [
            PluginRecord(each.name, each.origin, each.distribution, each.version, state="failed", error=error.message)
            for each, error in self._failures
        ]
        return (*(plugin.record for plugin in self._ordered), *broken)

    @staticmethod
    def _raise(errors: Sequence[PluginError]) -> None:
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("plugins cannot be loaded", errors)
