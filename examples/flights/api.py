"""The HTTP face of the flights service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from model import Delays
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from corten import App
from corten.errors import Refused
from corten_postgres import Postgres


def reply(value: object, status: int = 200, **headers: str) -> Response:
    """JSON of anything that msgspec can encode."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


async def refused(_: Request, error: Exception) -> Response:
    """A policy said no: 429 when asking later helps."""
    assert isinstance(error, Refused)
    later = {} if error.retry_after is None else {"Retry-After": str(max(1, round(error.retry_after)))}
    return reply({"error": error.reason}, 429, **later)


def api(app: App[Any], delays: Callable[[str], Awaitable[Delays | None]]) -> Starlette:
    """The routes, on the functions of the service."""

    async def totals(_: Request) -> Response:
        stored = await app.get(Postgres).fetch_value(int, "select count(*) from flights")
        return reply({"stored": stored, "dead_lettered": await app.dead_letters.count()})

    async def late(request: Request) -> Response:
        found = await delays(request.path_params["destination"].upper())
        return reply(found) if found else reply({"error": "no flight went there"}, 404)

    async def dead_letters(request: Request) -> Response:
        letters = await app.dead_letters.list(limit=20, after=request.query_params.get("after"))
        shown = [{"id": each.id, "cause": each.cause, "reason": each.reason} for each in letters]
        return reply(shown)

    routes = [
        Route("/", totals),
        Route("/delays/{destination}", late),
        Route("/dead-letters", dead_letters),
    ]
    return Starlette(routes=routes, exception_handlers={Refused: refused})
