"""Apps with an operations server on a free port."""

from __future__ import annotations

import pytest

from corten.app import App
from corten.hookspecs import hookimpl
from corten.plugins import Route
from corten_health import HealthPlugin
from corten_ops import OpsPlugin


class Pages:
    """A plugin that shows what it is given."""

    def __init__(self, *routes: Route, name: str = "pages") -> None:
        self.name = name
        self.routes = routes

    @hookimpl
    def corten_ops_routes(self, app: App[None]) -> list[Route]:
        return list(self.routes)


def make(*plugins: object, **arguments: object) -> App[None]:
    """An App with the ops and the health plugin; ``ops__port=0`` is ``[ops] port = 0``."""
    given = {"ops.port": 0, "health.checks": []}
    given |= {name.replace("__", "."): value for name, value in arguments.items()}
    return App("tested", plugins=[OpsPlugin, HealthPlugin, *plugins], autoload=False, config=None, arguments=given)


@pytest.fixture
def anyio_backend() -> str:
    """uvicorn is asyncio's."""
    return "asyncio"
