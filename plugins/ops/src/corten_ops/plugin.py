"""The plugin: what it brings to an App."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from corten.hookspecs import hookimpl
from corten.plugins import Resource, Task
from corten.settings import DEFAULT, Section
from corten_ops.ops import Ops
from corten_ops.settings import OpsSettings

if TYPE_CHECKING:
    from corten.app import App


SECTION = Section("ops", OpsSettings)


class OpsPlugin:
    """An HTTP port for those who operate the service: probes, metrics, an index, and what other plugins show."""

    backends = ("asyncio",)

    @hookimpl
    def corten_settings(self) -> Sequence[Section[Any]]:
        """The table ``[ops]``; every field has a default, so it is always active."""
        return [SECTION]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:  # noqa: ARG002 - opened later
        """:class:`Ops`, with the pages of all plugins."""
        return [Resource(Ops, _open)]

    @hookimpl
    def corten_tasks(self, app: App[Any]) -> Sequence[Task]:
        """The server, from the first to the last."""
        return [app.get(Ops).task()]


@asynccontextmanager
async def _open(app: App[Any]) -> AsyncGenerator[Ops, None]:
    yield Ops(app, app.section(SECTION)[DEFAULT])
