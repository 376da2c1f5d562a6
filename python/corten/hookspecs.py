"""The manual of all hooks.

A plugin is a class (or factory) named by an entry point of the group ``corten.plugins``; a new object is made for each
App. Its methods that implement a hook carry ``@hookimpl``. Class attributes say more:

``requires``
    names of plugins that come before this one
``backends``
    ``("asyncio",)`` if the driver needs asyncio: on another backend the App refuses to start

Hooks are called plugin by plugin, ordered by requirements and then by name, the same every time. All hooks are sync
functions that return descriptions and do no I/O. When a hook raises, the App does not start: a
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
        """Return the plugin's sections of the settings.

        Called first, before the settings are read; there is no App yet. A plugin without an active instance in any
        of its sections is ``inactive``: of its other hooks only ``corten_dev_services`` is called.
        """
        raise NotImplementedError

    @hookspec
    def corten_dev_services(self) -> Sequence[DevService]:
        """Return real servers that ``corten dev`` can start for sections without an address.

        Called only by ``corten dev``, after the settings were read and before ``corten_resources``.
        """
        raise NotImplementedError

    @hookspec
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        """Return the resources that the plugin opens and closes.

        Called once at start with the settings loaded (``app.section("postgres")``) and nothing open. Two plugins that
        provide the same type and name, or a requirement without a provider, stop the App before anything is opened.
        """
        raise NotImplementedError

    @hookspec
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Return checks for ``app.health``. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """Return collectors for ``app.registry``. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_observers(self, app: App[Any]) -> Sequence[Observer]:
        """Return observers of calls and messages. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_cache_tiers(self, app: App[Any]) -> Sequence[CacheTier]:
        """Return shared tiers for caches with ``shared=True``. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_limiter_backends(self, app: App[Any]) -> Sequence[LimiterBackend]:
        """Return backends for rate limits with ``shared=True``.

        Called once, when all resources are open; the first backend is used. A backend without its server raises on
        each request, and each process then counts by itself.
        """
        raise NotImplementedError

    @hookspec
    def corten_message_sources(self, app: App[Any]) -> Sequence[MessageSource]:
        """Return brokers that consumers can subscribe to. Called once, when all resources are open."""
        raise NotImplementedError

    @hookspec
    def corten_dead_letter_stores(self, app: App[Any]) -> Sequence[tuple[str, DeadLetterStore]]:
        """Return named stores of dead letters; ``dead_letters.store`` chooses among several.

        Called once, when all resources are open.
        """
        raise NotImplementedError

    @hookspec
    def corten_exporters(self, app: App[Any]) -> Sequence[Exporter]:
        """Return exporters, which send metrics at an interval and at shutdown.

        Called once, when all resources are open.
        """
        raise NotImplementedError

    @hookspec
    def corten_ops_routes(self, app: App[Any]) -> Sequence[Route]:
        """Return pages of the operations server. Called by the plugin that serves them, when its resource opens.

        The first plugin in order that claims a method and path keeps it; a second claim is a ``PluginError``.
        """
        raise NotImplementedError

    @hookspec
    def corten_tasks(self, app: App[Any]) -> Sequence[Task]:
        """Return tasks that run beside the program.

        Called once, when all resources are open, before the user's own tasks start.
        """
        raise NotImplementedError
