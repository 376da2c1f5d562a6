"""App: the composition root. What it is made of, what is asked of it; the work is done in the modules beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

import msgspec

from corten.alerts import Alerts
from corten.app.components import Components
from corten.app.composition import Composition
from corten.app.lifecycle.lifecycle import Lifecycle, State
from corten.app.settings.own import OwnSettings
from corten.app.settings.settings import OWN_SECTIONS, SettingsSources, ShutdownSettings
from corten.clock import Clock
from corten.dead_letters import MemoryDeadLetterStore
from corten.error_handler import ErrorHandler
from corten.errors import CortenError, SettingsError
from corten.events import Events
from corten.flags import Flags
from corten.health import Health
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.plugins.loading import Plugins
from corten.settings import Section

if TYPE_CHECKING:
    from pathlib import Path

    from corten.app.lifecycle.run import Backend, Loop
    from corten.app.settings.reload import Reloaded, ReloadStatistics
    from corten.app.tasks.tasks import TaskStatistics
    from corten.cache.tier import CacheTier
    from corten.dead_letters import DeadLetterStore
    from corten.events.observer import Observer
    from corten.logs import LogLevel
    from corten.messages.source import MessageSource
    from corten.plugins.record import PluginRecord
    from corten.rate_limit.backend import LimiterBackend
    from corten.settings import Settings

S = TypeVar("S")
T = TypeVar("T")


class App(Composition, Generic[S]):
    """A service: settings, plugins, resources, pipelines and tasks with one lifecycle.

    Making one has no effects; it lives once, from ``async with app:`` or :meth:`run`.

    :param name: of the service, in logs, metrics and on the ops pages
    :param settings: the type of the application's own settings, the table ``[app]``
    :param plugins: plugins that are not installed as distributions: objects or classes
    :param autoload: which installed plugins are loaded: all, none or those named; None leaves it to the settings
    :param clock: the time of everything in the App
    :param config: the settings file; the default one may be missing. None: no file
    :param arguments: settings that win over all others, by dotted path: ``{"postgres.max_size": 5}``
    """

    @overload
    def __init__(
        self: App[None],
        name: str,
        *,
        settings: None = None,
        plugins: Sequence[object] = (),
        autoload: bool | Sequence[str] | None = None,
        clock: Clock | None = None,
        config: str | Path | None = ...,
        arguments: Mapping[str, object] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        *,
        settings: type[S],
        plugins: Sequence[object] = (),
        autoload: bool | Sequence[str] | None = None,
        clock: Clock | None = None,
        config: str | Path | None = ...,
        arguments: Mapping[str, object] | None = None,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        settings: type[S] | None = None,
        plugins: Sequence[object] = (),
        autoload: bool | Sequence[str] | None = None,
        clock: Clock | None = None,
        config: str | Path | None = "corten.toml",
        arguments: Mapping[str, object] | None = None,
    ) -> None:
        if not name.strip():
            raise ValueError('an App needs a name, which logs, errors and metrics say: App("savings")')
        self.name = name
        self.clock = clock if clock is not None else Clock()
        self.registry = Registry(self.clock)
        self.health = Health(self.clock)
        self.errors = ErrorHandler(self.registry, self.clock)
        """Where errors of pipelines, tasks, schedules, consumers and subscribers come by."""
        self.events = Events(on_error=self.errors.report)
        self.alerts = Alerts(self.registry, self.clock, health=self.health, events=self.events)
        self.components = Components()
        """What was added in code."""
        self.installed = Plugins(plugins)
        """The plugins, in order; found by :meth:`load`."""
        self.life = Lifecycle(self, MemoryDeadLetterStore())
        self._settings_type = cast("type[msgspec.Struct] | None", settings)
        self._autoload = autoload
        self.sources = SettingsSources(config, config == "corten.toml", dict(arguments or {}))
        """Where the settings are read from; :meth:`configure` changes it."""
        self._sections: tuple[Section, ...] = ()
        self._flags: Flags | None = None
        self._loaded: Settings | None = None

    # -- asking

    @property
    def state(self) -> State:
        """``new``, ``starting``, ``running``, ``stopping``, ``stopped`` or ``failed``."""
        return self.life.state

    @property
    def failure(self) -> Exception | None:
        """What made the App fail."""
        return self.life.failure

    @property
    def settings(self) -> S:
        """The application's own settings, of the type given as ``settings``.

        :raises CortenError: they were not loaded yet
        """
        if self._settings_type is None:
            return cast("S", None)
        return cast("S", self.section("app")["default"])

    @property
    def own_settings(self) -> OwnSettings:
        """Corten's own tables.

        :raises CortenError: they were not loaded yet
        """
        return OwnSettings(self.loaded)

    @property
    def shutdown_settings(self) -> ShutdownSettings:
        """How long stopping may take; the defaults where no settings could be loaded."""
        return ShutdownSettings() if self._loaded is None else self.own_settings.shutdown

    @property
    def loaded(self) -> Settings:
        """All settings, with where each came from.

        :raises CortenError: they were not loaded yet
        """
        if self._loaded is None:
            raise CortenError(f"app {self.name!r} has no settings yet: they are read when it starts")
        return self._loaded

    def section(self, name: str) -> Mapping[str, Any]:
        """The active instances of a section of the settings: the plain table is ``default``.

        :raises CortenError: the settings were not loaded yet
        :raises KeyError: there is no such section
        """
        return self.loaded.section(name)

    @property
    def environment(self) -> str:
        """``production``, unless the settings say otherwise."""
        return self.own_settings.top.environment

    @property
    def flags(self) -> Flags:
        """The feature flags of the settings.

        :raises CortenError: the settings were not loaded yet
        """
        if self._flags is None:
            self._flags = Flags(self.own_settings.top.flags)
        return self._flags

    @property
    def plugins(self) -> tuple[PluginRecord, ...]:
        """What is known of each plugin, in the order of calls."""
        return self.installed.records

    @property
    def pipelines(self) -> Mapping[str, Pipeline]:
        """The pipelines by name."""
        return self.components.pipelines

    @property
    def observers(self) -> Sequence[Observer]:
        """What surrounds calls and messages; complete once the App runs."""
        return self.life.observers

    @property
    def cache_tiers(self) -> Sequence[CacheTier]:
        """The shared cache tiers; complete once the App runs."""
        return self.life.tiers

    @property
    def limiter_backends(self) -> Sequence[LimiterBackend]:
        """Where rate limits that processes share are kept; complete once the App runs."""
        return self.life.limiters

    @property
    def message_sources(self) -> Mapping[str, MessageSource]:
        """What consumers can subscribe to, by name; complete once the App runs."""
        return self.life.sources

    @property
    def dead_letters(self) -> DeadLetterStore:
        """Where what failed for good is kept."""
        return self.life.dead_letters

    def get(self, kind: type[T], name: str = "default") -> T:
        """The open resource of a type.

        :param name: the instance, where there are several
        :raises ResourceUnavailable: it is not open, or nobody provides it; says what there is
        """
        return self.life.resources.get(kind, name)

    def hook_results(self, hook: str) -> list[tuple[str, Any]]:
        """Call a hook that takes the App, plugin by plugin: names and what each returned.

        :raises PluginError: one raised
        """
        return [(plugin.name, result) for plugin, result in self.installed.call(hook, app=self)]

    def reload_statistics(self) -> ReloadStatistics:
        """How reading the settings again has gone."""
        return self.life.reloading.statistics()

    def tasks(self) -> tuple[TaskStatistics, ...]:
        """How each supervised task is."""
        return tuple(task.statistics() for task in self.life.tasks)

    def hint_for_inactive(self, likely: str = "") -> str:
        """What to set so that plugins that are not configured become active; empty where there are none.

        :param likely: the plugin that is probably meant; where it is among them the others are left out
        """
        inactive = [plugin.name for plugin in self.installed.inactive]
        names = [likely] if likely in inactive else inactive
        return f"; not configured: {', '.join(names)}{self.installed.hint(*names)}" if names else ""

    # -- living

    def load(self) -> Settings:
        """Find the plugins and read the settings, without starting anything; once.

        :raises PluginError: a plugin is broken (an ExceptionGroup of these, where several are)
        :raises SettingsError: with every problem there is
        """
        if self._loaded is None:
            loaded = self.sources.load(self.sections())
            self.installed.activate(loaded.is_active)
            self._loaded = loaded
        return self._loaded

    async def reload(self) -> Reloaded:
        """Read the settings again while the App runs: what can change while running changes, all of it or nothing.

        :returns: what has changed, and what needs a restart to
        :raises CortenError: the App is not running
        :raises SettingsError: something is wrong with them; nothing has changed
        """
        return await self.life.reloading.reload()

    def reloaded(self, settings: Settings) -> None:
        """Have settings hold that were read while the App runs; their policies are set already."""
        self._loaded = settings
        self._flags = None
        if self.life.log_setup is not None:
            logs = self.own_settings.logs
            self.life.log_setup.change(cast("LogLevel", logs.level.upper()), logs.format)

    def sections(self) -> Sequence[Section]:
        """The sections of the settings: Corten's own, those of the plugins, which are found now, and ``[app]``.

        :raises PluginError: a plugin is broken (an ExceptionGroup of these, where several are)
        :raises SettingsError: which plugins are wanted cannot be read
        """
        if not self._sections:
            self.installed.load(self._wanted_plugins() if self._autoload is None else self._autoload)
            self._sections = (*self.own_sections(), *self.installed.sections())
        return self._sections

    def _wanted_plugins(self) -> bool | tuple[str, ...]:
        try:
            return self.sources.autoload()
        except SettingsError as error:
            # Nobody knows which plugins may be imported, but what is wrong besides can be told at once.
            problems = list(error.problems)
            try:
                self.sources.load(self.own_sections())
            except SettingsError as others:
                problems += (each for each in others.problems if each.message != "unknown section")
            raise SettingsError(list(dict.fromkeys(problems))) from None

    def own_sections(self) -> Sequence[Section]:
        """The sections of the settings that are there without any plugin."""
        own = () if self._settings_type is None else (Section("app", self._settings_type),)
        return (*OWN_SECTIONS, *own)

    def configure(self, *, config: str | Path | None = None, arguments: Mapping[str, object] | None = None) -> None:
        """Read the settings from another file, and with more arguments, than the App was made with.

        For those who run an App that was made elsewhere, such as the command.

        :raises CortenError: the settings were loaded already
        """
        if self._loaded is not None:
            raise CortenError(f"app {self.name!r} has its settings already: configure it before")
        sources = self.sources
        self.sources = SettingsSources(
            sources.config if config is None else config,
            sources.optional if config is None else False,
            {**sources.arguments, **(arguments or {})},
        )

    def stop(self) -> None:
        """Ask the App to stop, from within its event loop; returns at once. An embedding program goes on."""
        self.life.check_process()
        self.life.request_stop("asked to")

    async def __aenter__(self) -> Self:
        await self.life.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.life.leave(error)

    def run(self, *, backend: Backend = "asyncio", loop: Loop = None) -> None:
        """Start, run until a signal, a failure or :meth:`stop`, and stop; the program's last line.

        Sets up logging and signal handlers, where nobody did.

        :param loop: ``"uvloop"``, or a function that makes an event loop
        :raises SystemExit: it did not end well; the codes are in ``docs/reference/exit_codes.md``
        """
        from corten.app.lifecycle.run import run

        if code := run(self, backend=backend, loop=loop):
            raise SystemExit(code)

    def __repr__(self) -> str:
        return f"<App {self.name!r}: {self.state}>"
