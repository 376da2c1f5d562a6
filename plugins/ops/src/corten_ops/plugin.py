"""The plugin: its hooks."""

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
    """An HTTP port for operators, with pages of all plugins."""

    backends = ("asyncio",)

    @hookimpl
    def corten_settings(self) -> Sequence[Section[Any]]:
        """Return the table ``[ops]``, which is always active."""
        return [SECTION]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:  # noqa: ARG002 - opened later
        """Return the resource :class:`Ops`."""
        return [Resource(Ops, _open)]

    @hookimpl
    def corten_tasks(self, app: App[Any]) -> Sequence[Task]:
        """Return the server's task."""
        return [app.get(Ops).task()]


@asynccontextmanager
async def _open(app: App[Any]) -> AsyncGenerator[Ops, None]:
    yield Ops(app, app.section(SECTION)[DEFAULT])
