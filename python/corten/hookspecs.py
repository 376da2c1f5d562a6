"""Every hook of Corten, as its manual.

A plugin is a class (or factory) named by an entry point of the group ``corten.plugins``; a new object is made for each
App. Its methods that implement a hook carry ``@hookimpl``. Class attributes say more:

``requires``
    names of plugins that come before it
``backends``
    ``("asyncio",)`` where its driver needs asyncio: on another backend the App refuses to start and says so

Hooks are called plugin by plugin, in the order of what they require and then of their names; the same every time. All
are plain functions: they return descriptions and do no I/O. When one raises, the App does not start: a
:class:`~corten.errors.PluginError` names the plugin, its entry point, distribution, version and the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from corten.cache import CacheTier
from corten.dead_letters.store import DeadLetterStore
from corten.events.observer import Observer
from corten.health.check import Check
from corten.messages.source import MessageSource
from corten.metrics.snapshot import Collector
from corten.plugins.descriptions import DevService, Exporter, Resource, Route, Task
from corten.rate_limit import LimiterBackend
from corten.settings.section import Section

if TYPE_CHECKING:
    from corten.app import App

__all__ = [
    "Hooks",
    "hookimpl",
    "hookspec",
]

hookspec = pluggy.HookspecMarker("corten")
hookimpl = pluggy.HookimplMarker("corten")


class Hooks:
    """The specifications; not to be instantiated."""

    @hookspec
    def corten_settings(self) -> Sequence[Section[Any]]:
        """Which sections of the settings are the plugin's.

        Called first, before the settings are read; there is no App yet. A plugin all of whose sections are without
        an active instance is ``inactive``: none of its other hooks is called (but ``corten_dev_services``).
        """
        raise NotImplementedError

    @hookspec
    def corten_dev_services(self) -> Sequence[DevService]:
        """Real servers that ``corten dev`` can start for sections that name no address.

        Called only by ``corten dev``, after the settings were read and before resources are asked for.
        """
        raise NotImplementedError

    @hookspec
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        """What the plugin opens and closes.

        Called once at start with the settings loaded (``app.section("postgres")``) and nothing open. Two plugins that
        provide the same type and name, or a requirement that nobody provides, stop the App before anything is opened.
        """
        raise NotImplementedError

    @hookspec
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Checks to be registered with ``app.health``. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """Collectors to be registered with ``app.registry``. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_observers(self, app: App[Any]) -> Sequence[Observer]:
        """What surrounds calls and messages. Called once, when all resources are open, and bound then."""
        raise NotImplementedError

    @hookspec
    def corten_cache_tiers(self, app: App[Any]) -> Sequence[CacheTier]:
        """Shared tiers for caches with ``shared=True``. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_limiter_backends(self, app: App[Any]) -> Sequence[LimiterBackend]:
        """Where rate limits with ``shared=True`` are kept. Called once, when all resources are open; the first is used.

        A backend that can't be reached raises when it is asked, and each process then counts by itself.
        """
        raise NotImplementedError

    @hookspec
    def corten_message_sources(self, app: App[Any]) -> Sequence[MessageSource]:
        """Brokers that consumers can subscribe to. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_dead_letter_stores(self, app: App[Any]) -> Sequence[tuple[str, DeadLetterStore]]:
        """Named stores of dead letters; the setting ``dead_letters.store`` chooses where several are offered.

        Called once, when all resources are open.
        """
        raise NotImplementedError

    @hookspec
    def corten_exporters(self, app: App[Any]) -> Sequence[Exporter]:
        """Where metrics are sent at an interval and once more at shutdown. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_ops_routes(self, app: App[Any]) -> Sequence[Route]:
        """Pages of the operations server. Called by the plugin that serves them, when its resource opens.

        The first plugin in order that claims a method and path keeps it; a second claim is a ``PluginError``.
        """
        raise NotImplementedError

    @hookspec
    def corten_tasks(self, app: App[Any]) -> Sequence[Task]:
        """What runs beside the program. Called once, when all resources are open, before the user's own tasks start."""
        raise NotImplementedError
