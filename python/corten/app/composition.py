"""Composing: what is added to an App before it starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from corten.app.components import Components, attach
from corten.clock import Clock
from corten.error_handler import ErrorDetails, ErrorHandler, checked_kinds
from corten.errors import CortenError
from corten.health import Check, Probe
from corten.messages.consumer import Consumer
from corten.pipeline import Pipeline
from corten.pipeline.functions.signature import flavor_of
from corten.plugins.descriptions import Task
from corten.policies.policy import Policy
from corten.settings import parse_duration

if TYPE_CHECKING:
    from corten.app.app import App
    from corten.app.lifecycle.lifecycle import Lifecycle

T = TypeVar("T")

_F = TypeVar("_F", bound=Callable[[], Awaitable[Any]])
_E = TypeVar("_E", bound=Callable[[ErrorDetails], object])
_H = TypeVar("_H", bound=Callable[[Any], Awaitable[Any]])


class Composition:
    """The half of `App` that collects; the other half lives."""

    name: str
    clock: Clock
    components: Components
    errors: ErrorHandler
    life: Lifecycle

    def add(self, item: T) -> T:
        """Add a pipeline, resource, task, check, consumer, alert rule, exporter … and give it back.

        :raises TypeError: it is nothing that an App knows
        :raises CortenError: the App has started, or has one of that name
        """
        if self.life.state != "new":
            raise CortenError(f"app {self.name!r} has started: add to it before")
        attach(item, cast("App[Any]", self))
        return item

    def pipeline(self, name: str, *policies: Policy) -> Pipeline:
        """Return the App's pipeline of a name, made where there is none yet: ``@app.pipeline("users")``.

        Without policies they come from the settings: ``[pipelines.NAME]``.

        :raises CortenError: there is one of that name, with other policies
        """
        pipeline = self.components.pipelines.get(name) or self.add(Pipeline(name, *policies))
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
        """Run a function beside the program: restarted with backoff when it fails, cancelled at shutdown.

        :param restart: False: its first failure fails the App
        """

        def decorate(function: _F) -> _F:
            self.add(Task(name or _name_of(function), _awaited("task", function), restart=restart))
            return function

        return decorate if function is None else decorate(function)

    def every(
        self, interval: str | float, *, name: str | None = None, jitter: str | float = 0.0, at_start: bool = True
    ) -> Callable[[_F], _F]:
        """Call a function at an interval, one run at a time; the one under way at shutdown is let finish.

        :param interval: from the beginning of one run to that of the next: ``"30s"``, or seconds
        :param jitter: up to so much is added at random to each moment, so that many processes do not act at once
        :param at_start: whether the first run is at once
        """
        if callable(interval):
            raise TypeError('every needs an interval: write @app.every("30s")')

        from corten.app.tasks.schedule import Schedule

        def decorate(function: _F) -> _F:
            schedule = Schedule(
                name or _name_of(function),
                _awaited("every", function),
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
        """Call a function, plain or async, with the details of every error of some types; of all without any.

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
        """Make a function a health check: None is up, an error is down, a `Finding` says more."""

        def decorate(function: _F) -> _F:
            self.add(Check(name, _awaited("check", function), tuple(probes), timeout, critical=critical))
            return function

        return decorate

    def consumer(
        self, *topics: str, name: str | None = None, pipeline: str | Pipeline | None = None, **options: Any
    ) -> Callable[[_H], _H]:
        """Have a function handle the messages of topics: one value at a time, or lists of them with ``batch``.

        :param name: the consumer's, by default the function's
        :param pipeline: policies around the handler; by name they come from the settings
        :param options: the other fields of `corten.messages.Consumer`: ``type``, ``group``, ``batch`` …
        """

        def decorate(function: _H) -> _H:
            around = self._named_pipeline(pipeline) if isinstance(pipeline, str) else pipeline
            self.add(
                Consumer(name or _name_of(function), topics, _awaited("consumer", function), pipeline=around, **options)
            )
            return function

        return decorate

    def _named_pipeline(self, name: str) -> Pipeline:
        return self.components.pipelines.get(name) or self.add(Pipeline(name))

    def override(self, kind: type[T], value: T, name: str = "default") -> None:
        """Have :meth:`get` find ``value`` where a resource of that type would be opened; for tests.

        :raises CortenError: the App has started
        """
        if self.life.state != "new":
            raise CortenError(f"app {self.name!r} has started: override {kind.__name__} before")
        self.life.resources.override((kind, name), value)


def _awaited(what: str, function: Any) -> Any:
    """The function, unless it plainly is no async one.

    :raises TypeError: it is a ``def`` that says nothing of an awaitable
    """
    if isinstance(function, FunctionType) and function.__name__ != "<lambda>" and flavor_of(function) == "sync":
        raise TypeError(
            f"{what} awaits {function.__qualname__}, which is a plain function: make it `async def`, or annotate it "
            "`-> Awaitable[...]`"
        )
    return function


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
