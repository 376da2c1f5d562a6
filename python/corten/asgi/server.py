"""ASGI applications served by uvicorn, as an intake of the App."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, cast

import anyio

from corten.errors import CortenError, ResourceUnavailable
from corten.event_loop import on_trio
from corten.plugins.descriptions import Task

if TYPE_CHECKING:
    import uvicorn

_log = logging.getLogger("corten.asgi")

_REFUSED_OPTIONS = ("fd", "loop", "reload", "uds", "workers")
"""Options by which uvicorn would own the process or the socket."""

_REMEDIES = {
    errno.EADDRINUSE: "is in use: stop what listens there, or choose another port",
    errno.EACCES: "may not be opened by this user: choose one from 1024, or grant CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "is on an address that this machine does not have: choose 127.0.0.1 or 0.0.0.0",
}


class HttpServer:
    """One ASGI application on one port; drains in the App's intake phase.

    :param asgi_app: the application; its own lifespan runs too
    :param host: a name or an address, or a function that returns one when the App starts; by default loopback
    :param port: 0 for any free port, see :attr:`addresses`; or a function as for ``host``
    :param options: further options of ``uvicorn.Config``
    :raises TypeError: with an option, uvicorn would own the process or the socket
    """

    def __init__(
        self,
        asgi_app: Any,
        *,
        host: str | Callable[[], str] = "127.0.0.1",
        port: int | Callable[[], int] = 8000,
        **options: Any,
    ) -> None:
        refused = sorted(set(options) & set(_REFUSED_OPTIONS))
        if refused:
            raise TypeError(f"serve() does not take {', '.join(refused)}: the App owns the process, loop and socket")
        self._asgi_app = asgi_app
        self._host = host
        self._port = port
        self._options = {
            "access_log": False,
            "log_config": None,
            "log_level": "warning",
            "server_header": False,
            **options,
        }
        self._server: uvicorn.Server | None = None
        self._bound: anyio.Event | None = None
        self.addresses: tuple[tuple[str, int], ...] = ()
        """The addresses on which it listens; empty while it does not."""

    @property
    def wanted(self) -> tuple[str, int]:
        """The configured host and port; functions for them may need loaded settings."""
        host = self._host() if callable(self._host) else self._host
        return host, self._port() if callable(self._port) else self._port

    def task(self) -> Task:
        """Return the server as a task of the App."""
        where = "" if callable(self._port) or callable(self._host) else f" {self._host}:{self._port}"
        return Task(f"serve{where}", self.run, self.stop, "intake", ready=self.ready)

    async def run(self) -> None:
        """Serve until :meth:`stop`, then finish running requests.

        :raises ResourceUnavailable: the port cannot be opened
        :raises CortenError: uvicorn is not installed, this is not asyncio, or the application refused to start
        """
        if on_trio():
            raise CortenError(
                "corten.asgi.serve runs on asyncio only (uvicorn does): start the App with backend='asyncio'"
            )
        bound = self._ready_event()
        sockets = _listen(*self.wanted)
        with contextlib.ExitStack() as stack:
            for each in sockets:
                stack.callback(each.close)
            server = self._server = _make(self._asgi_app, self._options, bound.set)
            self.addresses = tuple(each.getsockname()[:2] for each in sockets)
            try:
                await server.serve(sockets)
            except SystemExit:  # uvicorn raises it when the application's own lifespan failed
                raise CortenError("the ASGI application failed to start; its lifespan's error is in the log") from None
            finally:
                self.addresses = ()
                self._server = None
                self._bound = None
                _close_remaining(server)

    def _ready_event(self) -> anyio.Event:
        if self._bound is None:
            self._bound = anyio.Event()
        return self._bound

    async def ready(self) -> None:
        """Wait until the port is bound and the application has started."""
        await self._ready_event().wait()
        for host, port in self.addresses:
            _log.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    async def stop(self) -> None:
        """Accept no more requests; :meth:`run` finishes the running ones."""
        if self._server is not None:
            self._server.should_exit = True


def serve(
    asgi_app: Any,
    *,
    host: str | Callable[[], str] = "127.0.0.1",
    port: int | Callable[[], int] = 8000,
    **options: Any,
) -> Task:
    """Serve an ASGI application from within an App: ``app.add(serve(api, port=8000))``.

    The port is bound when the App runs; at shutdown, running requests finish in the first phase, before work drains and
    resources close. asyncio only. Needs ``pip install 'corten[serve]'``.

    :param host: a name or an address, or a function that returns one when the App starts; by default loopback
    :param port: a port, or a function: ``port=lambda: app.settings.port``
    :param options: further options of ``uvicorn.Config``
    """
    return HttpServer(asgi_app, host=host, port=port, **options).task()


def _make(asgi_app: Any, options: dict[str, Any], started: Callable[[], object]) -> uvicorn.Server:
    try:
        import uvicorn
    except ImportError:
        raise CortenError("uvicorn is not installed: pip install 'corten[serve]'") from None

    class Server(uvicorn.Server):
        """Reports its start, and leaves signals to the App."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            started()

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

    class Config(uvicorn.Config):
        """Leaves the process's logging unchanged, unless ``log_config`` is set."""

        def configure_logging(self) -> None:
            if self.log_config is not None:
                super().configure_logging()

        def load(self) -> None:
            super().load()
            make, access_log = self.http_protocol_class, self.access_log

            def protocol(*args: Any, **kwargs: Any) -> asyncio.Protocol:
                made: Any = make(*args, **kwargs)
                made.access_log = made.access_log and access_log
                return cast("asyncio.Protocol", made)

            self.http_protocol_class = cast("type[asyncio.Protocol]", protocol)

    return Server(Config(asgi_app, **options))


def _listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to all addresses of a host.

    :raises ResourceUnavailable: with the reason and the remedy
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ResourceUnavailable(f"host {host!r} has no address: {error.strerror or error}") from error
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(socket.socket(family, kind, protocol))
            if os.name == "posix":  # on Windows two servers could share the port
                sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sockets[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sockets[-1].bind(address)
            sockets[-1].listen(128)  # now, so that a port in use is found before connections are lost
            sockets[-1].setblocking(False)
    except OSError as error:
        for each in sockets:
            each.close()
        remedy = _REMEDIES.get(error.errno or 0, f"cannot be opened: {error.strerror or error}")
        raise ResourceUnavailable(f"port {port} of {host} {remedy}") from error
    return sockets


def _close_remaining(server: uvicorn.Server) -> None:
    """Close connections and tasks that remain after a cancelled server."""
    for listener in getattr(server, "servers", ()):
        listener.close()
    for connection in list(server.server_state.connections):
        transport: asyncio.BaseTransport | None = getattr(connection, "transport", None)
        if transport is not None:
            transport.close()
    for task in list(server.server_state.tasks):
        task.cancel()
