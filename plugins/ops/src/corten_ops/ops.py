"""The resource: a server with the pages of all plugins."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from corten.asgi import HttpServer
from corten.errors import PluginError, ResourceUnavailable
from corten.plugins import Reply, Request, Route, Task
from corten_ops.guard import BodyTooLarge, Guard
from corten_ops.index import POLICY, index_page
from corten_ops.metrics_page import metrics_reply
from corten_ops.protocol import bounded_protocol
from corten_ops.settings import OpsSettings

if TYPE_CHECKING:
    from corten.app import App

_log = logging.getLogger("corten.ops")

_OWN = "ops"


class OpsStatistics(msgspec.Struct, frozen=True):
    """Counts of the operations server."""

    requests: int
    refused: int
    """Refused requests: a foreign host name, no token, another site, too large."""
    errors: int
    """Requests with an error in the page."""


class Ops:
    """The operations server of one App; ``app.get(Ops).url`` is its address.

    :raises PluginError: two plugins claim one page, or a path is wrong
    """

    def __init__(self, app: App[Any], settings: OpsSettings) -> None:
        self._app = app
        self.routes: Sequence[Route] = _collect(app, self._own_routes())
        """Every page, sorted by path."""
        self._timeout = settings.request_timeout
        self._requests = 0
        self._refused = 0
        self._errors = 0
        self._count = app.registry.counter(
            "corten_ops_requests", "Requests to the operations server", attributes=("page", "status")
        )
        self.asgi = Guard(
            Starlette(
                routes=[HttpRoute(r.path, self._endpoint(r), methods=[r.method], name=r.path) for r in self.routes],
                exception_handlers={HTTPException: _not_there},
            ),
            token=settings.token,
            allowed_hosts=settings.allowed_hosts,
            max_body=settings.max_body,
            finished=self._finished,
        )
        """The server as an ASGI application, with its checks."""
        self._server = HttpServer(
            self.asgi,
            host=settings.host,
            port=settings.port,
            http=bounded_protocol(
                max_connections=settings.max_connections,
                header_timeout=settings.header_timeout,
                request_timeout=settings.request_timeout + settings.header_timeout,
            ),
            ws="none",
            lifespan="off",
            proxy_headers=False,
            h11_max_incomplete_event_size=16 * 1024,
        )

    @property
    def url(self) -> str:
        """The address, such as ``http://127.0.0.1:9100``.

        :raises ResourceUnavailable: the server does not listen
        """
        if not self._server.addresses:
            raise ResourceUnavailable("the operations server does not listen: it listens only while the App runs")
        host, port = self._server.addresses[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - reachable from this machine
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def task(self) -> Task:
        """Return the server as a task: first to start, last to end."""
        return Task("ops", self._server.run, self._server.stop, "flush", ready=self._server.ready)

    def statistics(self) -> OpsStatistics:
        """Return the counts since the start."""
        return OpsStatistics(self._requests, self._refused, self._errors)

    def _own_routes(self) -> list[Route]:
        async def metrics(request: Request) -> Reply:
            return metrics_reply(self._app.registry, request)

        async def index(_: Request) -> Reply:
            return index_page(self._app, await self._app.health.run(), self.routes)

        return [
            Route("/", index, summary="This page"),
            Route("/metrics", metrics, summary="Every instrument, as OpenMetrics or Prometheus text"),
        ]

    def _endpoint(self, route: Route) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def answer(request: HttpRequest) -> Response:
            request.scope["matched"] = route.path
            reply: Reply | Response = _error(504, "this took too long")
            with self._app.clock.move_on_after(self._timeout):
                reply = await self._answer(route, request)
            if isinstance(reply, Response):
                return reply
            response = Response(reply.body, reply.status, media_type=reply.content_type)
            if route.path == "/":
                response.headers["content-security-policy"] = POLICY
            return response

        return answer

    async def _answer(self, route: Route, request: HttpRequest) -> Reply | Response:
        """Call the page, or answer an error."""
        try:
            body = await request.body() if request.method == "POST" else b""
        except BodyTooLarge:
            refused = _error(413, "the body is too large")
            refused.headers["connection"] = "close"
            return refused
        except ClientDisconnect:
            return _error(400, "the body ended early")
        # pages must not see credentials
        headers = {name: value for name, value in request.headers.items() if name not in ("authorization", "cookie")}
        try:
            return await route.handle(Request(request.url.path, dict(request.query_params), headers, body))
        except Exception:  # noqa: BLE001 - logged; the reply must not show internals
            self._errors += 1
            _log.exception("page %s failed", route.path)
            return _error(500, "this page failed; the log says why")

    def _finished(self, page: str, status: int) -> None:
        self._requests += 1
        if not page and status in (401, 403, 413, 415, 421):
            self._refused += 1
        self._count.add(1, page=page, status=str(status))


def _collect(app: App[Any], own: Sequence[Route]) -> Sequence[Route]:
    """Collect the pages of all plugins.

    :raises PluginError: a page can't be served; names its plugin
    """
    origins = {record.name: record.origin for record in app.plugins}
    claimed: dict[tuple[str, str], str] = {}
    routes: list[Route] = []
    for plugin, offered in [(_OWN, own), *app.call_hook("corten_ops_routes")]:
        for route in offered:
            words = ""
            other = claimed.setdefault((route.method, route.path), plugin)
            if not route.path.startswith("/") or any(character in route.path for character in "{}?# \\"):
                words = f"the page {route.path!r} is not a path; expected one such as /livez"
            elif other != plugin or any((route.method, route.path) == (r.method, r.path) for r in routes):
                words = f"the page {route.method} {route.path} is claimed by plugin {other!r} already"
            if words:
                raise PluginError(plugin, words, origins.get(plugin, "passed in code"))
            routes.append(route)
    return tuple(sorted(routes, key=lambda route: (route.path, route.method)))


def _error(status: int, words: str) -> Response:
    return Response(msgspec.json.encode({"error": words}), status, media_type="application/json")


async def _not_there(_: HttpRequest, error: Exception) -> Response:
    """Answer an error of the router, without internal details."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "no such page; / lists them", 405: "not by this method"}.get(status, "refused")
    response = _error(status, words)
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response
