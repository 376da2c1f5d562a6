"""Resources: put in order, opened one by one, found by type, closed in reverse.

Each resource lives in a task of its own, which enters and leaves its context manager: what it opens inside (a task
group, a cancel scope) stays properly nested, and one that does not close can be left behind alone.
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
"""The type and the name by which a resource is found."""


class OwnedResource:
    """A description with the plugin it came from."""

    def __init__(self, resource: Resource, owner: str, origin: str) -> None:
        self.resource = resource
        self.owner = owner
        self.origin = origin

    @property
    def key(self) -> Key:
        """By which it is found."""
        return self.resource.provides, self.resource.name

    def __str__(self) -> str:
        whose = "" if self.owner == "app" else f" of plugin {self.owner!r}"
        return f"resource {named(self.key)}{whose}"

    def broken(self, message: str, cause: BaseException | None = None) -> CortenError:
        """The error that says so, with whose it is."""
        if self.owner == "app":
            error = CortenError(f"resource {message} ({self.origin})")
        else:
            error = PluginError(self.owner, message, self.origin)
        error.__cause__ = cause
        return error


class KeptResource:
    """A resource that is open, or on the way there or back."""

    def __init__(self, owned: OwnedResource, on_lost: Callable[[KeptResource], None]) -> None:
        self.owned = owned
        self.value: Any = None
        self.error: Exception | None = None
        self.is_open = False
        self.is_told = False
        """Whether somebody was told of the error already."""
        self.gone = anyio.Event()
        self._on_lost = on_lost
        self._turned = anyio.Event()
        self._close = anyio.Event()
        self._scope = anyio.CancelScope()

    async def keep(self, app: App[Any]) -> None:
        """Open it, hold it until it is to be closed, close it. Raises nothing but cancellation."""
        try:
            with self._scope:
                async with self.owned.resource.open(app) as self.value:
                    self.is_open = True
                    self._turned.set()
                    await self._close.wait()
        except Exception as error:  # noqa: BLE001 - raised to whoever waits for it
            self.error = error
        finally:
            was_open, self.is_open = self.is_open, False
            self._turned.set()
            self.gone.set()
            if was_open and not self._close.is_set():
                self._on_lost(self)

    async def opened(self) -> None:
        """Wait until it is open.

        :raises CortenError: it cannot be opened
        """
        try:
            await self._turned.wait()
        except anyio.get_cancelled_exc_class():
            self.cancel()
            raise
        if not self.is_open:
            raise self._why()

    def _why(self) -> Exception:
        self.is_told = True
        error = self.error
        if error is None:
            return self.owned.broken(f"{named(self.owned.key)} ended while it opened")
        if isinstance(error, CortenError):
            error.add_note(f"{self.owned} ({self.owned.origin})")
            return error
        words = f"cannot be opened: {type(error).__name__}: {redact(str(error))}"
        if isinstance(error, OSError):  # servers that are away mostly show themselves so
            unavailable = ResourceUnavailable(f"{self.owned} {words}")
            unavailable.__cause__ = error
            return unavailable
        return self.owned.broken(f"{named(self.owned.key)} {words}", error)

    def close(self) -> None:
        """Have it closed; :attr:`gone` tells when it is."""
        self._close.set()

    def cancel(self) -> None:
        """Interrupt its opening or closing."""
        self._close.set()
        self._scope.cancel()


class Resources:
    """All resources of one App."""

    def __init__(self, app: App[Any], on_lost: Callable[[KeptResource], None]) -> None:
        self._app = app
        self._on_lost = on_lost
        self._kept: list[KeptResource] = []
        self._overrides: dict[Key, Any] = {}
        self._found: dict[Key, Any] = {}
        self.gone_because = ""
        """Why nothing can be found any more; empty while that is not so."""

    def override(self, key: Key, value: Any) -> None:
        """Have ``value`` found instead of what would be opened."""
        self._overrides[key] = value
        self._found[key] = value

    def get(self, kind: type[T], name: str) -> T:
        """The open resource of a type and name.

        :raises ResourceUnavailable: it is not open, or nobody provides it; says what there is
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
            reason = f"app {app.name!r} has not started: use it inside `async with app:` or from what app.run() runs"
        elif app.state in ("stopped", "failed") and not self._found:
            reason = f"app {app.name!r} has stopped and closed its resources"
        else:
            known = ", ".join(sorted(named(each) for each in self._found)) or "none"
            plugins = internals_of(app).plugins
            hint = plugins.hint_for_inactive(plugins.whose(key[0]))
            reason = f"nobody provides it; open in app {app.name!r} are: {known}{hint}"
        return ResourceUnavailable(f"no {named(key)}: {reason}")

    def ordered(self, resources: Sequence[OwnedResource]) -> list[OwnedResource]:
        """Those to be opened, in the order of what they require, then of their names.

        :raises PluginError: two provide the same, one requires what nobody provides, or they require each other
        :raises SettingsError: one requires what a plugin would provide that is not configured
        """
        by_key: dict[Key, OwnedResource] = {}
        for owned in resources:
            first = by_key.setdefault(owned.key, owned)
            if first is not owned:
                name = named(owned.key)
                raise owned.broken(f"{name} is one that {first.owner!r} ({first.origin}) provides already")
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
                        f"{named(owned.key)} requires {kind.__name__}, which nobody provides; provided are: {there}"
                    )
                    if (whose := plugins.whose(kind)) and (hint := plugins.hint_for_inactive(whose)):
                        problem = f"{owned} requires {kind.__name__}, and the plugin {whose!r} is not configured"
                        problems.append(SettingsProblem(whose, problem, hint.rpartition("; set ")[2]))
                        continue
                    raise owned.broken(message + plugins.hint_for_inactive())
            requires[owned] = [each for each in wanted if each.resource.provides in owned.resource.requires]
        if problems:
            raise SettingsError(problems)
        from corten.plugins.order import Circle, in_order  # only where there are resources to open

        try:
            return in_order(wanted, requires, _sort_name)
        except Circle as circle:
            first = circle.members[0]
            names = [named(each.key) for each in (*circle.members, first)]
            raise first.broken(f"{names[0]} requires itself: {' requires '.join(names)}") from None

    async def open(self, resources: Sequence[OwnedResource], group: anyio.abc.TaskGroup) -> None:
        """Open them one by one; what was opened stays so when one fails.

        :raises CortenError: one cannot be opened
        """
        for owned in self.ordered(resources):
            kept = KeptResource(owned, self._lost)
            self._kept.append(kept)
            group.start_soon(kept.keep, self._app, name=str(owned))
            await kept.opened()
            self._found[owned.key] = kept.value
            _log.debug("app %s: %s is open", self._app.name, owned)

    def _lost(self, kept: KeptResource) -> None:
        self._found.pop(kept.owned.key, None)
        kept.is_told = True
        self._on_lost(kept)

    async def close(self, clock: Clock, deadline: float, grace: float) -> tuple[list[Exception], list[str]]:
        """Close them in reverse. One that overruns its share of the time is cancelled, then left behind.

        :returns: what went wrong, and the names of those left behind
        """
        errors: list[Exception] = []
        left_behind: list[str] = []
        for index in reversed(range(len(self._kept))):
            kept = self._kept[index]
            now = clock.now()
            share = max(0.0, deadline - now) / (index + 1)
            with clock.move_on_at(now + share):
                kept.close()
                await kept.gone.wait()
            if not kept.gone.is_set():
                kept.cancel()
                with clock.move_on_after(grace):
                    await kept.gone.wait()
                errors.append(DeadlineExceeded(f"closing {kept.owned} ({kept.owned.origin})", share))
                if not kept.gone.is_set():
                    left_behind.append(str(kept.owned))
                    _log.error("app %s: %s did not close and is left behind", self._app.name, kept.owned)
            elif kept.error is not None and not kept.is_told:
                words = (
                    f"{named(kept.owned.key)} failed to close: {type(kept.error).__name__}: {redact(str(kept.error))}"
                )
                errors.append(kept.owned.broken(words, kept.error))
            self._found.pop(kept.owned.key, None)
        self._kept.clear()
        self._found.clear()
        return errors, left_behind

    def forget(self, reason: str) -> None:
        """Find nothing any more."""
        self.gone_because = reason
        self._found.clear()

    @property
    def open_now(self) -> Mapping[Key, Any]:
        """What can be found."""
        return dict(self._found)


def named(key: Key) -> str:
    """``Postgres``, or ``Postgres 'reporting'`` where it is not the default one."""
    kind, name = key
    return kind.__name__ if name == "default" else f"{kind.__name__} {name!r}"


def _sort_name(owned: OwnedResource) -> tuple[str, ...]:
    kind, name = owned.key
    return kind.__name__, name, kind.__module__
