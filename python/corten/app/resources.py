"""Resources: ordered, opened one by one, found by type, closed in reverse.

Each resource has a task of its own that enters and leaves its context manager. So task groups and cancel scopes inside
stay properly nested, and a resource that does not close can be left behind alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from corten.app.internals import internals_of
from corten.clock import Clock
from corten.errors import (
    CortenError,
    DeadlineExceeded,
    PluginError,
    ResourceUnavailable,
    SettingsError,
    SettingsProblem,
)
from corten.plugins.descriptions import Resource
from corten.secrets import redact

if TYPE_CHECKING:
    import anyio.abc

    from corten.app.app import App

_log = logging.getLogger("corten.app")

T = TypeVar("T")
Key = tuple[type[Any], str]
"""The type and the instance name of a resource."""


class OwnedResource:
    """A resource's description with the plugin that owns it."""

    def __init__(self, resource: Resource, owner: str, origin: str) -> None:
        self.resource = resource
        self.owner = owner
        self.origin = origin

    @property
    def key(self) -> Key:
        """The type and name that :meth:`Resources.get` takes."""
        return self.resource.provides, self.resource.name

    def __str__(self) -> str:
        whose = "" if self.owner == "app" else f" of plugin {self.owner!r}"
        return f"resource {named(self.key)}{whose}"

    def error(self, message: str, cause: BaseException | None = None) -> CortenError:
        """Build an error about this resource, naming its plugin."""
        if self.owner == "app":
            error = CortenError(f"resource {message} ({self.origin})")
        else:
            error = PluginError(self.owner, message, self.origin)
        error.__cause__ = cause
        return error


class OpenResource:
    """A resource that is opening, open or closing."""

    def __init__(self, owned: OwnedResource, on_lost: Callable[[OpenResource], None]) -> None:
        self.owned = owned
        self.value: Any = None
        self.error: Exception | None = None
        self.is_open = False
        self.is_reported = False
        """Whether the error was raised or logged."""
        self.closed = anyio.Event()
        self._on_lost = on_lost
        self._open_ended = anyio.Event()
        self._close = anyio.Event()
        self._scope = anyio.CancelScope()

    async def run(self, app: App[Any]) -> None:
        """Open the resource, hold it until :meth:`close`, close it; store errors."""
        try:
            with self._scope:
                async with self.owned.resource.open(app) as self.value:
                    self.is_open = True
                    self._open_ended.set()
                    await self._close.wait()
        except Exception as error:  # noqa: BLE001 - raised by until_open() or reported by close()
            self.error = error
        finally:
            was_open, self.is_open = self.is_open, False
            self._open_ended.set()
            self.closed.set()
            if was_open and not self._close.is_set():
                self._on_lost(self)

    async def until_open(self) -> None:
        """Wait until the resource is open.

        :raises CortenError: it cannot be opened
        """
        try:
            await self._open_ended.wait()
        except anyio.get_cancelled_exc_class():
            self.cancel()
            raise
        if not self.is_open:
            raise self._open_failure()

    def _open_failure(self) -> Exception:
        self.is_reported = True
        error = self.error
        if error is None:
            return self.owned.error(f"{named(self.owned.key)} ended while it opened")
        if isinstance(error, CortenError):
            error.add_note(f"{self.owned} ({self.owned.origin})")
            return error
        words = f"cannot be opened: {type(error).__name__}: {redact(str(error))}"
        if isinstance(error, OSError):  # in most cases the server is away
            unavailable = ResourceUnavailable(f"{self.owned} {words}")
            unavailable.__cause__ = error
            return unavailable
        return self.owned.error(f"{named(self.owned.key)} {words}", error)

    def close(self) -> None:
        """Request closing; :attr:`closed` is set when it has ended."""
        self._close.set()

    def cancel(self) -> None:
        """Cancel opening or closing."""
        self._close.set()
        self._scope.cancel()


class Resources:
    """All resources of one App."""

    def __init__(self, app: App[Any], on_lost: Callable[[OpenResource], None]) -> None:
        self._app = app
        self._on_lost = on_lost
        self._resources: list[OpenResource] = []
        self._overrides: dict[Key, Any] = {}
        self._found: dict[Key, Any] = {}
        self.gone_because = ""
        """Why no resource can be found any more; empty while resources can be found."""

    def override(self, key: Key, value: Any) -> None:
        """Find ``value`` for a key, and open no resource for it."""
        self._overrides[key] = value
        self._found[key] = value

    def get(self, kind: type[T], name: str) -> T:
        """Return the open resource of a type and name.

        :raises ResourceUnavailable: it is not open, or no plugin provides it; lists the open ones
        """
        try:
            value: T = self._found[kind, name]
        except KeyError:
            raise self._missing((kind, name)) from None
        return value

    def _missing(self, key: Key) -> CortenError:
        if self.gone_because:
            return CortenError(self.gone_because)
        app = self._app
        if app.state == "new":
            reason = (
                f"app {app.name!r} has not started: use it inside `async with app:` or in functions that app.run() runs"
            )
        elif app.state in ("stopped", "failed") and not self._found:
            reason = f"app {app.name!r} has stopped and closed its resources"
        else:
            known = ", ".join(sorted(named(each) for each in self._found)) or "none"
            plugins = internals_of(app).plugins
            hint = plugins.hint_for_inactive(plugins.whose(key[0]))
            reason = f"no plugin provides it; open in app {app.name!r} are: {known}{hint}"
        return ResourceUnavailable(f"no {named(key)}: {reason}")

    def ordered(self, resources: Sequence[OwnedResource]) -> list[OwnedResource]:
        """Return the resources to open, ordered by requirements, then by name.

        :raises PluginError: two provide one key, a requirement has no provider, or requirements form a circle
        :raises SettingsError: the plugin that provides a requirement is not configured
        """
        by_key: dict[Key, OwnedResource] = {}
        for owned in resources:
            first = by_key.setdefault(owned.key, owned)
            if first is not owned:
                name = named(owned.key)
                raise owned.error(f"{name} is provided by {first.owner!r} ({first.origin}) already")
        wanted = [owned for owned in resources if owned.key not in self._overrides]
        plugins = internals_of(self._app).plugins
        provided = {kind for kind, _ in (*by_key, *self._overrides)}
        requires: dict[OwnedResource, list[OwnedResource]] = {}
        problems: list[SettingsProblem] = []
        for owned in wanted:
            for kind in owned.resource.requires:
                if kind not in provided:
                    there = ", ".join(sorted(named(key) for key in by_key)) or "nothing"
                    message = (
                        f"{named(owned.key)} requires {kind.__name__}, which no plugin provides; provided are: {there}"
                    )
                    if (whose := plugins.whose(kind)) and (hint := plugins.hint_for_inactive(whose)):
                        problem = f"{owned} requires {kind.__name__}, and the plugin {whose!r} is not configured"
                        problems.append(SettingsProblem(whose, problem, hint.rpartition("; set ")[2]))
                        continue
                    raise owned.error(message + plugins.hint_for_inactive())
            requires[owned] = [each for each in wanted if each.resource.provides in owned.resource.requires]
        if problems:
            raise SettingsError(problems)
        from corten.plugins.order import Circle, in_order  # only where there are resources to open

        try:
            return in_order(wanted, requires, _sort_name)
        except Circle as circle:
            first = circle.members[0]
            names = [named(each.key) for each in (*circle.members, first)]
            raise first.error(f"{names[0]} requires itself: {' requires '.join(names)}") from None

    async def open(self, resources: Sequence[OwnedResource], group: anyio.abc.TaskGroup) -> None:
        """Open resources one by one; open ones stay open when one fails.

        :raises CortenError: a resource cannot be opened
        """
        for owned in self.ordered(resources):
            resource = OpenResource(owned, self._lost)
            self._resources.append(resource)
            group.start_soon(resource.run, self._app, name=str(owned))
            await resource.until_open()
            self._found[owned.key] = resource.value
            _log.debug("app %s: %s is open", self._app.name, owned)

    def _lost(self, resource: OpenResource) -> None:
        self._found.pop(resource.owned.key, None)
        resource.is_reported = True
        self._on_lost(resource)

    async def close(self, clock: Clock, deadline: float, grace: float) -> tuple[list[Exception], list[str]]:
        """Close resources in reverse; cancel, then leave behind, slow ones.

        :returns: the errors, and the names of resources left behind
        """
        errors: list[Exception] = []
        left_behind: list[str] = []
        for index in reversed(range(len(self._resources))):
            resource = self._resources[index]
            now = clock.now()
            share = max(0.0, deadline - now) / (index + 1)
            with clock.move_on_at(now + share):
                resource.close()
                await resource.closed.wait()
            if not resource.closed.is_set():
                resource.cancel()
                with clock.move_on_after(grace):
                    await resource.closed.wait()
                errors.append(DeadlineExceeded(f"closing {resource.owned} ({resource.owned.origin})", share))
                if not resource.closed.is_set():
                    left_behind.append(str(resource.owned))
                    _log.error("app %s: %s did not close and is left behind", self._app.name, resource.owned)
            elif resource.error is not None and not resource.is_reported:
                error = resource.error
                words = f"{named(resource.owned.key)} failed to close: {type(error).__name__}: {redact(str(error))}"
                errors.append(resource.owned.error(words, error))
            self._found.pop(resource.owned.key, None)
        self._resources.clear()
        self._found.clear()
        return errors, left_behind

    def forget(self, reason: str) -> None:
        """Make :meth:`get` raise with a reason."""
        self.gone_because = reason
        self._found.clear()

    @property
    def open_now(self) -> Mapping[Key, Any]:
        """The open resources by key."""
        return dict(self._found)


def named(key: Key) -> str:
    """Return a key as text: ``Postgres``, or ``Postgres 'reporting'``."""
    kind, name = key
    return kind.__name__ if name == "default" else f"{kind.__name__} {name!r}"


def _sort_name(owned: OwnedResource) -> tuple[str, ...]:
    kind, name = owned.key
    return kind.__name__, name, kind.__module__
