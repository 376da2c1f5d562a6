"""An ASGI application served as an intake of the App."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import Any

import anyio
import anyio.to_thread
import pytest

from corten.app import App
from corten.asgi import HttpServer, serve
from corten.errors import CortenError, ResourceUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


class Slow:
    """Answers when the test allows it."""

    def __init__(self) -> None:
        self.asked, self.answer = anyio.Event(), anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError("no lifespan")
        self.asked.set()
        await self.answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def ask(address: tuple[str, int]) -> bytes:
    async with await anyio.connect_tcp(*address) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        try:
            while True:
                received += await stream.receive()
        except anyio.EndOfStream:
            return received


async def test_the_port_is_bound_when_the_app_runs_and_requests_are_finished_when_it_stops() -> None:
    slow = Slow()
    server = HttpServer(slow, port=0)
    app = App("served", autoload=False, config=None)
    app.add(server.task())
    replies: list[bytes] = []

    async def client(address: tuple[str, int]) -> None:
        replies.append(await ask(address))

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with anyio.create_task_group() as group, app:
        (address,) = server.addresses
        group.start_soon(client, address)
        await slow.asked.wait()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        app.stop()
        while app.state != "stopping":
            await anyio.lowlevel.checkpoint()
        slow.answer.set()
    assert replies[0].startswith(b"HTTP/1.1 200")
    assert replies[0].endswith(b"ok")
    with pytest.raises(OSError):
        await anyio.connect_tcp(*address)


async def test_a_request_that_never_ends_is_cut_off_at_the_deadline() -> None:
    slow = Slow()
    server = HttpServer(slow, port=0)
    app = App("served", autoload=False, config=None, arguments={"shutdown.deadline": 0.5})
    app.add(server.task())
    async with anyio.create_task_group() as group:
        with pytest.raises(ExceptionGroup, match="errors while app 'served' stopped") as caught:
            async with app:

                async def client(address: tuple[str, int] = server.addresses[0]) -> None:
                    assert await ask(address) == b""

                group.start_soon(client)
                await slow.asked.wait()
    assert "stopping task 'serve 127.0.0.1:0'" in str(caught.value.exceptions[0])


async def test_a_port_in_use_stops_the_start_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = App("served", autoload=False, config=None)
        app.add(serve(Slow(), port=port))
        with pytest.raises(ResourceUnavailable, match=f"port {port} of 127.0.0.1 is in use: stop what listens there"):
            await app.__aenter__()
        assert app.state == "failed"


async def test_an_application_whose_lifespan_fails_stops_the_start(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    caplog.set_level(logging.CRITICAL)
    app = App("served", autoload=False, config=None)
    app.add(serve(broken, port=0, lifespan="on"))
    with pytest.raises(CortenError, match="failed to start"):
        await app.__aenter__()


async def test_without_uvicorn_the_error_has_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    app = App("served", autoload=False, config=None)
    app.add(serve(Slow(), port=0))
    with pytest.raises(CortenError, match=r"pip install 'corten\[serve\]'"):
        await app.__aenter__()


def test_options_about_owning_the_process_are_refused() -> None:
    with pytest.raises(TypeError, match="does not take reload, workers"):
        serve(Slow(), workers=4, reload=True)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_serving_on_trio_is_an_error(anyio_backend: str) -> None:
    app = App("served", autoload=False, config=None)
    app.add(serve(Slow(), port=0))
    with pytest.raises(CortenError, match="asyncio only"):
        await app.__aenter__()


async def test_the_hosts_logging_of_uvicorn_stays_as_it_was() -> None:
    access = logging.getLogger("uvicorn.access")
    handler = logging.NullHandler()
    access.addHandler(handler)
    before = (access.propagate, access.level, logging.getLogger("uvicorn.error").level)
    app = App("served", autoload=False, config=None)
    app.add(serve(Slow(), port=0))
    try:
        async with app:
            assert handler in access.handlers
            assert (access.propagate, access.level, logging.getLogger("uvicorn.error").level) == before
    finally:
        access.removeHandler(handler)
