"""An App inside an ASGI host that owns the server: FastAPI, Starlette, Litestar."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from corten.app import App


def lifespan(app: App[Any]) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """What a host takes as its ``lifespan``: the App starts before the first request and stops after the last.

    ``Starlette(lifespan=lifespan(app))``, ``FastAPI(lifespan=lifespan(app))``, ``Litestar(lifespan=[lifespan(app)])``.

    The host owns the server, signals and logging. So there is no pre-drain delay, and requests have drained by the
    host's own rules before the App's first phase begins; `corten.asgi.serve` has all phases.
    """

    @asynccontextmanager
    async def span(host: Any) -> AsyncGenerator[None, None]:  # noqa: ARG001 - given by the host
        async with app:
            yield

    return span
