"""What plugins give back from hooks: frozen descriptions on which the App acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corten.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from corten.app import App

Phase = Literal["intake", "work", "flush"]
"""When a task is stopped at shutdown: intakes first, then work in flight, then what reports on it."""


class Resource(msgspec.Struct, frozen=True):
    """A typed object that the App opens at start and closes at stop."""

    provides: type[Any]
    """The type by which ``app.get`` finds it."""
    open: Callable[[App[Any]], AbstractAsyncContextManager[Any]]
    """Opens it; what the context manager yields is the resource, leaving it closes."""
    name: str = "default"
    """The instance: ``default``, or the sub-table's name of a second one."""
    requires: tuple[type[Any], ...] = ()
    """Types of resources that must be open before and closed after."""


class Task(msgspec.Struct, frozen=True):
    """Something that runs beside the program while the App is up."""

    name: str
    run: Callable[[], Awaitable[None]]
    """Runs until it is done, stopped or cancelled."""
    stop: Callable[[], Awaitable[None]] | None = None
    """Asks it to end by itself when its phase comes; without it, or past the deadline, ``run`` is cancelled."""
    phase: Phase = "work"
    restart: bool = True
    """Whether a failure restarts it with backoff; otherwise the first failure fails the App."""
    ready: Callable[[], Awaitable[None]] | None = None
    """Awaited at start: the App is running only when it returned (a port is bound, say)."""


class Exporter(msgspec.Struct, frozen=True):
    """Sends snapshots of the metrics at an interval and at shutdown."""

    name: str
    export: Callable[[Snapshot], Awaitable[None]]
    interval: float = 60.0
    """Seconds between two exports."""


class Route(msgspec.Struct, frozen=True):
    """A page of the operations server."""

    path: str
    handle: Callable[[Request], Awaitable[Reply]]
    method: Literal["GET", "POST"] = "GET"
    summary: str = ""


class Request(msgspec.Struct, frozen=True):
    """What a route is asked."""

    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True):
    """What a route answers."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


class DevService(msgspec.Struct, frozen=True):
    """A real server in a wheel, which ``corten dev`` starts if the section names no address."""

    name: str
    """For people: ``PostgreSQL 18``."""
    section: str
    """The settings section it fills in."""
    start: Callable[[Path], AbstractAsyncContextManager[Mapping[str, object]]]
    """Starts it with its data in a folder; yields the settings that lead to it; leaving stops it."""
    missing: Callable[[], str | None] = lambda: None
    """Returns the pip command that installs the server, or None if it is installed."""
