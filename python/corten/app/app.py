"""App: the composition root of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

import msgspec

from corten.alerts import Alerts
from corten.app.components import Components, attach
from corten.app.internals import AppInternals
from corten.app.lifecycle.lifecycle import Lifecycle, State
from corten.app.settings.loading import AppSettings, SettingsSources
from corten.clock import Clock
from corten.dead_letters import MemoryDeadLetterStore
from corten.error_handler import ErrorDetails, ErrorHandler, checked_kinds
from corten.errors import CortenError
from corten.events import Events
from corten.health import Check, Health, Probe
from corten.messages.consumer import Consumer
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.functions.signature import flavor_of
from corten.plugins.descriptions import Task
from corten.plugins.loading import Plugins
from corten.settings import parse_duration

if TYPE_CHECKING:
    from pathlib import Path

    from corten.app.lifecycle.run import Backend, Loop
    from corten.app.settings.reload import Reloaded, ReloadStatistics
    from corten.app.tasks.supervision import TaskStatistics
    from corten.dead_letters import DeadLetterStore
    from corten.events.observer import Observer
    from corten.flags import Flags
    from corten.plugins.record import PluginRecord
    from corten.policies.combined.policy import Policy
    from corten.settings import Section, Settings

S = TypeVar("S")
T = TypeVar("T")
_T = TypeVar("_T", bound=msgspec.Struct)

_F = TypeVar("_F", bound=Callable[[], Awaitable[Any]])
_E = TypeVar("_E", bound=Callable[[ErrorDetails], object])
_H = TypeVar("_H", bound=Callable[[Any], Awaitable[Any]])


class App(Generic[S]):
    """A service: settings, plugins, resources, pipelines and tasks with one lifecycle.

    Making one has no effects; it lives once, from ``async with app:`` or :meth:`run`.

    :param name: the service in logs, metrics and on the ops pages
    :param settings: the type of the application's own settings, the table ``[app]``
    :param plugins: plugins that are not installed as distributions: objects or classes
    :param autoload: the installed plugins to load: all, none or some by name; None: the settings say
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
            raise ValueError('an App needs a name, for logs, errors and metrics: App("savings")')
        self.name = name
        self.clock = clock if clock is not None else Clock()
        self.registry = Registry(self.clock)
        self.health = Health(self.clock)
        self.errors = ErrorHandler(self.registry, self.clock)
        """Counts errors of pipelines, tasks, schedules, consumers and subscribers, and passes them on."""
        self.events = Events(on_error=self.errors.report)
        self.alerts = Alerts(self.registry, self.clock, health=self.health, events=self.events)
        sources = SettingsSources(config, config == "corten.toml", dict(arguments or {}))
        self._internals = AppInternals(
            Components(),
            AppSettings(name, cast("type[msgspec.Struct] | None", settings), autoload, sources, Plugins(plugins)),
            Lifecycle(self, MemoryDeadLetterStore()),
        )

    # -- looking

    @property
    def state(self) -> State:
        """``new``, ``starting``, ``running``, ``stopping``, ``stopped`` or ``failed``."""
        return self._internals.life.state

    @property
    def failure(self) -> Exception | None:
        """The error that made the App fail."""
        return self._internals.life.failure

    @property
    def settings(self) -> S:
        """The application's own settings, of the type given as ``settings``.

        :raises CortenError: they were not loaded yet
        """
        if self._internals.settings.type is None:
            return cast("S", None)
        return cast("S", self.section("app")["default"])

    @overload
    def section(self, section: Section[_T]) -> Mapping[str, _T]: ...
    @overload
    def section(self, section: str) -> Mapping[str, Any]: ...

    def section(self, section: Section[Any] | str) -> Mapping[str, Any]:
        """Return the active instances of a section of the settings; the section's own table is ``default``.

        :param section: a section, whose instances have its type, or the name of one
        :raises CortenError: the settings were not loaded yet
        :raises KeyError: there is no such section
        """
        return self._internals.settings.loaded.section(section)

    @property
    def environment(self) -> str:
        """``production``, unless the settings say otherwise.

        :raises CortenError: the settings were not loaded yet
        """
        return self._internals.settings.own.top.environment

    @property
    def flags(self) -> Flags:
        """The feature flags of the settings.

        :raises CortenError: the settings were not loaded yet
        """
        return self._internals.settings.flags

    @property
    def plugins(self) -> tuple[PluginRecord, ...]:
        """The plugins, in the order in which their hooks are called."""
        return self._internals.plugins.records

    @property
    def pipelines(self) -> Mapping[str, Pipeline]:
        """The pipelines by name."""
        return self._internals.components.pipelines

    @property
    def observers(self) -> Sequence[Observer]:
        """The observers of calls and messages; complete once the App runs."""
        return self._internals.life.observers

    @property
    def dead_letters(self) -> DeadLetterStore:
        """The store of operations and messages that failed for good."""
        return self._internals.life.dead_letters

    def get(self, kind: type[T], name: str = "default") -> T:
        """Return the open resource of a type.

        :param name: the instance, where there are several
        :raises ResourceUnavailable: it is not open, or no plugin provides it; lists the open ones
        """
        return self._internals.life.resources.get(kind, name)

    def call_hook(self, hook: str) -> list[tuple[str, Any]]:
        """Call a hook with the App; return the plugins' names and results.

        :raises PluginError: a plugin raised
        """
        return [(plugin.name, result) for plugin, result in self._internals.plugins.call(hook, app=self)]

    def reload_statistics(self) -> ReloadStatistics:
        """Return how often settings were read again, and their problems."""
        return self._internals.life.reloader.statistics()

    def tasks(self) -> tuple[TaskStatistics, ...]:
        """Return the state of each supervised task."""
        return tuple(task.statistics() for task in self._internals.life.tasks)

    # -- composing

    def _must_be_new(self, what: str) -> None:
        if self.state != "new":
            raise CortenError(f"app {self.name!r} has started: {what} before")

    def add(self, item: T) -> T:
        """Add a component, and return it.

        Components are pipelines, resources, tasks, checks, consumers, alert rules, exporters, collectors, observers and
        message sources.

        :raises TypeError: an App has no use for it
        :raises CortenError: the App has started, or has one of that name
        """
        self._must_be_new("add to it")
        attach(item, self)
        return item

    def pipeline(self, name: str, *policies: Policy) -> Pipeline:
        """Return the pipeline of a name, added if new: ``@app.pipeline("users")``.

        Without policies here, the settings give them: ``[pipelines.NAME]``.

        :raises CortenError: the App has a pipeline of that name with other policies
        """
        pipeline = self.pipelines.get(name) or self.add(Pipeline(name, *policies))
        if policies and tuple(policies) != tuple(pipeline.policies):
            raise CortenError(f"app {self.name!r} has a pipeline {name!r} with other policies: name policies once")
        return pipeline

    @overload
    def task(self, function: _F, /) -> _F: ...

    @overload
    def task(self, /, *, name: str | None = None, restart: bool = True) -> Callable[[_F], _F]: ...

    def task(
        self, function: _F | None = None, /, *, name: str | None = None, restart: bool = True
    ) -> _F | Callable[[_F], _F]:
        """Run a function beside the program; restart it after failures.

        Restarts wait with backoff. The function is cancelled at shutdown.

        :param restart: False: its first failure fails the App
        """

        def decorate(function: _F) -> _F:
            self.add(Task(name or _name_of(function), _awaitable("task", function), restart=restart))
            return function

        return decorate if function is None else decorate(function)

    def every(
        self, interval: str | float, *, name: str | None = None, jitter: str | float = 0.0, at_start: bool = True
    ) -> Callable[[_F], _F]:
        """Call a function at an interval, one run at a time.

        Shutdown waits for the current run.

        :param interval: from the beginning of one run to the beginning of the next: ``"30s"``, or seconds
        :param jitter: the most that is added at random to each moment, so that many processes do not act at once
        :param at_start: whether the first run is at once
        """
        if callable(interval):
            raise TypeError('every needs an interval: write @app.every("30s")')

        from corten.app.tasks.schedule import Schedule

        def decorate(function: _F) -> _F:
            schedule = Schedule(
                name or _name_of(function),
                _awaitable("every", function),
                interval=parse_duration(interval),
                clock=self.clock,
                jitter=parse_duration(jitter),
                at_start=at_start,
                on_error=self.errors.report,
            )
            self.add(schedule.task())
            return function

        return decorate

    def on_error(self, *kinds: type[Exception]) -> Callable[[_E], _E]:
        """Call a function, sync or async, with the details of errors.

        :param kinds: the types of errors; without any, all errors
        :raises TypeError: a kind is no subclass of `Exception`, or the parentheses are missing
        """
        if any(isinstance(cast("object", each), FunctionType) for each in kinds):
            raise TypeError("on_error wants parentheses: @app.on_error()")
        checked_kinds(kinds)

        def decorate(function: _E) -> _E:
            self.errors.subscribe(function, kinds or Exception)
            return function

        return decorate

    def check(
        self, name: str, *, probes: Sequence[Probe] = ("ready",), timeout: float = 2.0, critical: bool = True
    ) -> Callable[[_F], _F]:
        """Make a function a health check.

        Its result None is up, an error is down, and a `Finding` says more.
        """

        def decorate(function: _F) -> _F:
            self.add(Check(name, _awaitable("check", function), tuple(probes), timeout, critical=critical))
            return function

        return decorate

    def consumer(
        self, *topics: str, name: str | None = None, pipeline: str | Pipeline | None = None, **options: Any
    ) -> Callable[[_H], _H]:
        """Make a function handle messages of topics: values, or lists with ``batch``.

        :param name: the consumer's name, by default the function's
        :param pipeline: policies around the handler; by name they come from the settings
        :param options: the other fields of `corten.messages.Consumer`: ``type``, ``group``, ``batch`` …
        """

        def decorate(function: _H) -> _H:
            policies = self.pipeline(pipeline) if isinstance(pipeline, str) else pipeline
            handler = _awaitable("consumer", function)
            self.add(Consumer(name or _name_of(function), topics, handler, pipeline=policies, **options))
            return function

        return decorate

    def override(self, kind: type[T], value: T, name: str = "default") -> None:
        """Make :meth:`get` return ``value``, without opening a resource; for tests.

        :raises CortenError: the App has started
        """
        self._must_be_new(f"override {kind.__name__}")
        self._internals.life.resources.override((kind, name), value)

    # -- living

    def configure(self, *, config: str | Path | None = None, arguments: Mapping[str, object] | None = None) -> None:
        """Replace the settings file, and add arguments.

        For programs that run an App of another module, such as the command.

        :raises CortenError: the settings were loaded already
        """
        self._internals.settings.configure(config, arguments or {})

    def load(self) -> Settings:
        """Find the plugins and read the settings, without starting anything; once.

        :raises PluginError: a plugin is broken (an ExceptionGroup of these, where several are)
        :raises SettingsError: lists every problem
        """
        return self._internals.settings.load()

    async def reload(self) -> Reloaded:
        """Read the settings again while running; apply all changes or none.

        Changes that need a restart are only reported.

        :raises CortenError: the App is not running
        :raises SettingsError: the settings are wrong; nothing has changed
        """
        return await self._internals.life.reloader.reload()

    def stop(self) -> None:
        """Request a stop, from within the App's event loop; return at once.

        An embedding program continues.
        """
        self._internals.life.check_process()
        self._internals.life.request_stop("asked to")

    async def __aenter__(self) -> Self:
        await self._internals.life.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._internals.life.leave(error)

    def run(self, *, backend: Backend = "asyncio", loop: Loop = None) -> None:
        """Start, run until a signal, a failure or :meth:`stop`, and stop.

        Sets up logging and signal handlers where the program has not.

        :param loop: ``"uvloop"``, or a function that makes an event loop
        :raises SystemExit: it failed; the codes are in ``docs/reference/exit_codes.md``
        """
        from corten.app.lifecycle.run import run

        if code := run(self, backend=backend, loop=loop):
            raise SystemExit(code)

    def __repr__(self) -> str:
        return f"<App {self.name!r}: {self.state}>"


def _awaitable(decorator: str, function: Any) -> Any:
    """Return a function, checked for an awaitable result.

    :raises TypeError: it is a ``def`` without an annotation that says its result can be awaited
    """
    if isinstance(function, FunctionType) and function.__name__ != "<lambda>" and flavor_of(function) == "sync":
        raise TypeError(
            f"{decorator} awaits {function.__qualname__}, which is a sync function: make it `async def`, or annotate "
            "it `-> Awaitable[...]`"
        )
    return function


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
