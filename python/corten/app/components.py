"""Components of an App, added in code and sorted by type."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from corten.alerts import AlertRule, HealthRule
from corten.app.internals import internals_of
from corten.errors import CortenError
from corten.events.observer import Observer
from corten.health import Check
from corten.messages.consumer import Consumer
from corten.messages.source import MessageSource
from corten.metrics.snapshot import Collector
from corten.pipeline import Pipeline
from corten.pipeline.controls.named import NamedControls
from corten.pipeline.pipeline import runtime_of
from corten.plugins.descriptions import Exporter, Resource, Task

if TYPE_CHECKING:
    from corten.app.app import App

T = TypeVar("T")


class Components:
    """Components in the order of adding; unused before the start."""

    def __init__(self) -> None:
        self.pipelines: dict[str, Pipeline] = {}
        self.breakers = NamedControls()
        self.resources: list[Resource] = []
        self.tasks: list[Task] = []
        self.collectors: list[Collector] = []
        self.observers: list[Observer] = []
        self.exporters: list[Exporter] = []
        self.sources: list[MessageSource] = []
        self.consumers: list[Consumer] = []


@functools.singledispatch
def attach(item: object, app: App[Any]) -> None:
    """Add a component to an App; each type registers a function here.

    :raises TypeError: no function is registered for the type
    """
    kinds = ", ".join(sorted(kind.__name__ for kind in attach.registry if kind is not object))
    raise TypeError(f"cannot add a {type(item).__name__} to app {app.name!r}; expected one of: {kinds}")


@attach.register(Pipeline)
def _(item: Pipeline, app: App[Any]) -> None:
    first = internals_of(app).components.pipelines.setdefault(item.name, item)
    if first is not item:
        raise CortenError(f"app {app.name!r} has a pipeline {item.name!r} already: names of pipelines are unique")
    runtime_of(item).share(internals_of(app).components.breakers)


@attach.register(Task)
def _(item: Task, app: App[Any]) -> None:
    if any(each.name == item.name for each in internals_of(app).components.tasks):
        raise CortenError(f"app {app.name!r} has a task {item.name!r} already: give one of them another name")
    internals_of(app).components.tasks.append(item)


@attach.register(Check)
def _(item: Check, app: App[Any]) -> None:
    app.health.add(item)


@attach.register(AlertRule)
@attach.register(HealthRule)
def _(item: AlertRule | HealthRule, app: App[Any]) -> None:
    try:
        app.alerts.add(item)
    except ValueError as error:
        raise CortenError(f"app {app.name!r}: {error}") from error


@attach.register(Consumer)
def _(item: Consumer, app: App[Any]) -> None:
    if any(each.name == item.name for each in internals_of(app).components.consumers):
        raise CortenError(f"app {app.name!r} has a consumer {item.name!r} already: give one of them another name")
    if item.pipeline is not None:
        attach(item.pipeline, app)
    internals_of(app).components.consumers.append(item)


def _attach_to_list(kind: type[T], items: Callable[[Components], list[T]]) -> None:
    @attach.register(kind)
    def _(item: T, app: App[Any]) -> None:
        items(internals_of(app).components).append(item)


_attach_to_list(Resource, lambda components: components.resources)
_attach_to_list(Collector, lambda components: components.collectors)
_attach_to_list(Observer, lambda components: components.observers)
_attach_to_list(Exporter, lambda components: components.exporters)
_attach_to_list(MessageSource, lambda components: components.sources)
