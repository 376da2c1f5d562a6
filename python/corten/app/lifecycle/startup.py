"""Startup: plugins and settings, resources, components of plugins, pipelines, tasks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from corten.app.internals import internals_of
from corten.app.pipelines import bind, pipeline_policies, set_policies
from corten.app.resources import OwnedResource
from corten.app.settings.reload import check_watching
from corten.app.tasks.consumers import consumer_tasks
from corten.app.tasks.exporters import exporter_task
from corten.app.tasks.supervision import SupervisedTask
from corten.errors import CortenError, PluginError, SettingsError, SettingsProblem, described
from corten.events.observer import Observer
from corten.health import Check, Finding
from corten.messages.source import MessageSource
from corten.metrics.snapshot import Collector
from corten.plugins.descriptions import Exporter, Resource, Task
from corten.plugins.plugin import Plugin

if TYPE_CHECKING:
    import anyio.abc

    from corten.app.app import App
    from corten.app.lifecycle.lifecycle import Lifecycle
    from corten.cache import CacheTier
    from corten.dead_letters.store import DeadLetterStore
    from corten.rate_limit import LimiterBackend

_log = logging.getLogger("corten.app")

_PHASES = ("flush", "work", "intake")
_OWN = "app"
_IN_CODE = "added in code"


async def start(app: App[Any], group: anyio.abc.TaskGroup, backend: str) -> None:
    """Start an App; started parts keep running if a later one fails.

    :raises CortenError: it cannot start
    """
    internals = internals_of(app)
    components, plugins, settings, life = internals.components, internals.plugins, internals.settings, internals.life
    for name, (probe, run) in own_checks(life).items():
        app.health.add(Check(name, run, (probe,), fresh=0.0))  # first: a plugin may answer probes while we start
    with life.phase("load"):
        for warning in app.load().warnings:
            _log.warning("settings: %s", warning)
        plugins.check_backend(backend)
        policies = pipeline_policies(app)
        check_watching(settings.loaded)
        life.reloader.begin(policies)
    with life.phase("resources"):
        resources = [OwnedResource(each, _OWN, _IN_CODE) for each in components.resources]
        resources += [
            OwnedResource(each, plugin.name, plugin.origin)
            for plugin, each in plugins.each("corten_resources", Resource, app=app)
        ]
        await life.resources.open(resources, group)
    with life.phase("plugins"):
        tasks = gather(app)
    with life.phase("pipelines"):
        life.background.open(group)
        set_policies(app, policies)
        for pipeline in app.pipelines.values():
            bind(app, pipeline)
    group.start_soon(app.errors.run, name="callbacks for errors")
    group.start_soon(life.reloader.serve, name="reload")
    if settings.own.reload.watch:
        group.start_soon(life.reloader.watch, name="settings watcher")
    with life.phase("tasks"):
        await start_tasks(app, group, tasks)


def gather(app: App[Any]) -> list[tuple[str, Task]]:
    """Register the components of plugins, and return their tasks with owners."""
    internals = internals_of(app)
    components, plugins, life = internals.components, internals.plugins, internals.life
    for plugin, check in plugins.each("corten_health_checks", Check, app=app):
        _register(plugin, "corten_health_checks", app.health.add, check)
    for collector in components.collectors:
        app.registry.add_collector(collector)
    for plugin, collector in plugins.each("corten_metrics", Collector, app=app):
        _register(plugin, "corten_metrics", app.registry.add_collector, collector)
    life.observers = tuple(components.observers)
    life.observers += tuple(each for _, each in plugins.each("corten_observers", Observer, app=app))
    life.tiers = tuple(cast("CacheTier", each) for _, each in plugins.each("corten_cache_tiers", object, app=app))
    backends = plugins.each("corten_limiter_backends", object, app=app)
    life.limiters = tuple(cast("LimiterBackend", each) for _, each in backends)
    life.sources = {source.name: source for source in components.sources}
    for plugin, source in plugins.each("corten_message_sources", MessageSource, app=app):
        if source.name in life.sources:
            raise plugin.failed(f"offers the message source {source.name!r}, which exists already")
        life.sources[source.name] = source
    life.dead_letters = choose_store(app)
    exporters = [(_OWN, each) for each in components.exporters]
    exporters += [(plugin.name, each) for plugin, each in plugins.each("corten_exporters", Exporter, app=app)]
    exports = app.registry.counter(
        "corten_exports", "Snapshots of the metrics that were sent", attributes=("exporter", "outcome")
    )

    def count(name: str, outcome: str) -> None:
        exports.add(exporter=name, outcome=outcome)

    tasks = [(owner, exporter_task(each, app.registry.snapshot, app.clock, count)) for owner, each in exporters]
    if app.alerts.statistics().rules:
        tasks.append((_OWN, Task("alerts", app.alerts.run, phase="flush")))
    return [*tasks, *((plugin.name, each) for plugin, each in plugins.each("corten_tasks", Task, app=app))]


def _register(plugin: Plugin, hook: str, register: Any, item: object) -> None:
    try:
        register(item)
    except ValueError as error:
        raise plugin.failed(f"{hook} returned an item that cannot be registered: {error}") from error


def own_checks(life: Lifecycle) -> dict[str, tuple[Any, Any]]:
    """Return the App's own checks: probe and function by name."""

    async def live() -> Finding | None:
        return None if life.failure is None else Finding("down", f"failed: {described(life.failure)}")

    async def ready() -> Finding | None:
        return None if life.state == "running" else Finding("down", f"the app is {life.state}")

    async def startup() -> Finding | None:
        return Finding("down", "the app is starting") if life.state == "starting" else None

    return {"app.live": ("live", live), "app.ready": ("ready", ready), "app.startup": ("startup", startup)}


def choose_store(app: App[Any]) -> Any:
    """Return the dead-letter store: by settings, else of a plugin, else memory.

    :raises SettingsError: the settings name a store that does not exist, or name none of several
    """
    internals = internals_of(app)
    plugins, life = internals.plugins, internals.life
    stores: dict[str, Any] = {"memory": life.dead_letters}
    for plugin, offered in plugins.each("corten_dead_letter_stores", object, app=app):
        name, store = cast("tuple[str, DeadLetterStore]", offered)
        if name in stores:
            raise plugin.failed(f"offers the store of dead letters {name!r}, which exists already")
        stores[name] = store
    wanted = internals.settings.own.dead_letters.store
    if not wanted and len(stores) <= 2:
        wanted = list(stores)[-1]
    if wanted == "memory" and any(consumer.dead_letters for consumer in internals.components.consumers):
        _log.warning("app %s: dead letters are kept in memory only, and are gone when the process ends", app.name)
    if wanted not in stores:
        message = "no such store of dead letters" if wanted else "several plugins offer a store of dead letters"
        expected = f"one of {', '.join(sorted(stores))}{plugins.hint_for_inactive(wanted)}"
        raise SettingsError([SettingsProblem("dead_letters.store", message, expected, value=wanted)])
    return stores[wanted]


async def start_tasks(app: App[Any], group: anyio.abc.TaskGroup, from_plugins: list[tuple[str, Task]]) -> None:
    """Start the plugins' tasks, then the user's; flush before work before intake.

    :raises Exception: the error of a task that has to be ready before the App runs
    """
    internals = internals_of(app)
    life = internals.life
    restarts = app.registry.counter("corten_task_restarts", "Tasks started again after a failure", attributes=("task",))
    own = [(_OWN, task) for task in [*internals.components.tasks, *consumer_tasks(app)]]
    for part in (from_plugins, own):
        for owner, task in sorted(part, key=lambda each: _PHASES.index(each[1].phase)):
            supervised = SupervisedTask(
                task,
                owner,
                clock=app.clock,
                events=app.events,
                restarts=internals.settings.own.tasks.restarts,
                on_failed=life.fail,
                count_restart=lambda name: restarts.add(task=name),
                on_error=app.errors.report,
            )
            life.tasks.append(supervised)
            group.start_soon(supervised.run, name=str(supervised))
            try:
                await supervised.until_ready()
            except CortenError:
                raise
            except Exception as error:
                if owner == _OWN:
                    raise
                origin = next(each.origin for each in app.plugins if each.name == owner)
                raise PluginError(owner, f"{supervised} did not start: {described(error)}", origin) from error
