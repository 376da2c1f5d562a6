"""A plugin that records its calls, and fails or hangs on request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from corten.app import App
from corten.health import Check
from corten.hookspecs import hookimpl
from corten.metrics.snapshot import Collector
from corten.plugins import Exporter, Observer, Resource, Task


class Pool:
    """A resource."""


class Client:
    """Another."""


class Recorder:
    """``fails`` and ``hangs`` name moments: ``open``, ``close``, ``task``, ``ready``, ``stop``, or a hook."""

    def __init__(
        self,
        name: str = "recorder",
        *,
        provides: type[Any] = Pool,
        needs: tuple[type[Any], ...] = (),
        requires: tuple[str, ...] = (),
        fails: Sequence[str] = (),
        hangs: Sequence[str] = (),
        log: list[str] | None = None,
        phase: Any = "work",
    ) -> None:
        self.name = name
        self.provides = provides
        self.needs = needs
        self.requires = requires
        self.fails = fails
        self.hangs = hangs
        self.log: list[str] = [] if log is None else log
        self.phase = phase
        self.held = 0

    def note(self, moment: str) -> None:
        self.log.append(f"{self.name} {moment}")
        if moment in self.fails:
            raise ValueError(f"{self.name} fails at {moment}")

    async def reach(self, moment: str) -> None:
        self.note(moment)
        if moment in self.hangs:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()

    @asynccontextmanager
    async def opened(self, app: App[Any]) -> AsyncIterator[Any]:
        await self.reach("open")
        self.held += 1
        try:
            yield self.provides()
            await self.reach("close")
        finally:
            self.held -= 1

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        self.note("corten_resources")
        return [Resource(self.provides, self.opened, requires=self.needs)]

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        self.note("corten_health_checks")
        return []

    @hookimpl
    def corten_metrics(self) -> Sequence[Collector]:
        self.note("corten_metrics")
        return []

    @hookimpl
    def corten_observers(self) -> Sequence[Observer]:
        self.note("corten_observers")
        return []

    @hookimpl
    def corten_exporters(self) -> Sequence[Exporter]:
        self.note("corten_exporters")
        return []

    @hookimpl
    def corten_tasks(self) -> Sequence[Task]:
        self.note("corten_tasks")
        stopping = anyio.Event()

        async def run() -> None:
            await self.reach("task")
            await stopping.wait()
            await self.reach("task ends")

        async def ready() -> None:
            await self.reach("ready")

        async def stop() -> None:
            stopping.set()
            await self.reach("stop")

        return [Task(f"{self.name} task", run, stop, self.phase, ready=ready)]
