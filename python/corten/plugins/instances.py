"""Instances: one resource for each active table of a plugin's section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from corten.metrics.snapshot import Collector, Measurement
from corten.plugins.descriptions import Resource
from corten.settings.section import DEFAULT, Section

if TYPE_CHECKING:
    from corten.app import App

S = TypeVar("S", bound=msgspec.Struct)
R = TypeVar("R")


class Instance(NamedTuple, Generic[S, R]):
    """An instance whose resource is open."""

    name: str
    """``default``, or the name of the sub-table."""
    label: str
    """The name of the instance in checks, stores and events: ``postgres``, ``postgres.reporting``."""
    settings: S
    resource: R

    def chosen(self, flag: bool | None) -> bool:
        """Return a setting that is true for the default instance alone where it is not set."""
        return self.name == DEFAULT if flag is None else flag


class Instances(Generic[S, R]):
    """The instances of a plugin whose section may have sub-tables, such as ``[postgres.reporting]``.

    :param section: the plugin's section, with ``instances=True``
    :param provides: the type of the resources
    """

    def __init__(self, section: Section[S], provides: type[R]) -> None:
        self._section = section
        self._provides = provides

    def label(self, name: str) -> str:
        """Return the name of an instance in checks, stores and events."""
        return self._section.name if name == DEFAULT else f"{self._section.name}.{name}"

    def resources(
        self,
        app: App[Any],
        open: Callable[[App[Any], str, S], AbstractAsyncContextManager[R]],  # noqa: A002 - as in Resource
    ) -> list[Resource]:
        """Describe a resource for each active instance, for the hook ``corten_resources``.

        :param open: opens the resource of an instance, given its name and settings
        """

        def opener(name: str, settings: S) -> Callable[[App[Any]], AbstractAsyncContextManager[R]]:
            return lambda app: open(app, name, settings)

        active = app.section(self._section)
        return [Resource(self._provides, opener(name, settings), name) for name, settings in active.items()]

    def opened(self, app: App[Any]) -> list[Instance[S, R]]:
        """Return the active instances with their open resources, for all later hooks."""
        active = app.section(self._section)
        return [
            Instance(name, self.label(name), settings, app.get(self._provides, name))
            for name, settings in active.items()
        ]

    def collectors(self, app: App[Any], measure: Callable[[str, R], Iterable[Measurement]]) -> Sequence[Collector]:
        """Describe a collector that measures each instance, for the hook ``corten_metrics``.

        :param measure: the measurements of an instance, given its name and resource
        """
        opened = self.opened(app)

        def collect() -> Iterable[Measurement]:
            for each in opened:
                yield from measure(each.name, each.resource)

        return [Collector(self._section.name, collect)]
