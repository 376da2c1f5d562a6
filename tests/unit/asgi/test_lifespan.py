"""An App runs as long as its ASGI host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from corten.app import App
from corten.asgi import lifespan

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param  # the three frameworks' own helpers are asyncio's


def starlette(span: Any) -> Any:
    from starlette.applications import Starlette

    return Starlette(lifespan=span)


def fastapi(span: Any) -> Any:
    from fastapi import FastAPI

    return FastAPI(lifespan=span)


def litestar(span: Any) -> Any:
    from litestar import Litestar

    return Litestar(lifespan=[span])


async def live(host: Any, meanwhile: Callable[[], None]) -> list[str]:
    """Run a host's lifespan by the ASGI protocol; return its messages."""
    sent: list[str] = []
    to_host, from_host = anyio.create_memory_object_stream[dict[str, Any]](2), anyio.Event()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])
        from_host.set()

    async with anyio.create_task_group() as group, to_host[0], to_host[1]:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        group.start_soon(host, scope, to_host[1].receive, send)
        await to_host[0].send({"type": "lifespan.startup"})
        await from_host.wait()
        meanwhile()
        await to_host[0].send({"type": "lifespan.shutdown"})
    return sent


@pytest.mark.parametrize("framework", [starlette, fastapi, litestar])
async def test_the_app_runs_while_the_host_does(framework: Callable[[Any], Any]) -> None:
    app = App("embedded", autoload=False, config=None)
    states: list[str] = []
    sent = await live(framework(lifespan(app)), lambda: states.append(app.state))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert states == ["running"]
    assert app.state == "stopped"


async def test_an_app_may_be_entered_in_one_task_and_left_in_another() -> None:
    app = App("embedded", autoload=False, config=None)
    span = lifespan(app)(None)
    async with anyio.create_task_group() as group:
        group.start_soon(span.__aenter__)
    assert app.state == "running"
    async with anyio.create_task_group() as group:
        group.start_soon(span.__aexit__, None, None, None)
    assert app.state == "stopped"
