"""An App inside an ASGI host: FastAPI, Starlette, Litestar."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from corten.app import App


def lifespan(app: App[Any]) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a ``lifespan`` with which an ASGI host runs the App.

    ``Starlette(lifespan=lifespan(app))``, ``FastAPI(lifespan=lifespan(app))``, ``Litestar(lifespan=[lifespan(app)])``.

    The host owns the server, signals and logging. So there is no pre-drain delay, and the host drains requests before
    the App's first phase begins; with `corten.asgi.serve` the App has all phases.
    """

    @asynccontextmanager
    async def running(host: Any) -> AsyncGenerator[None, None]:  # noqa: ARG001 - given by the host
        async with app:
            yield

    return running
