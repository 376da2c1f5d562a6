"""Monitor: watches an API and news feeds, keeps what is new, mails it, and says how it is.

``corten run service:app`` runs it; ``GET /events`` has what it found, ``GET /report`` the state of everything.
"""

from __future__ import annotations

import logging
import smtplib
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from corten import App
from corten.asgi import serve
from corten.error_handler import ErrorDetails
from corten.errors import Refused
from corten.health import Finding

log = logging.getLogger("monitor")


class MonitorSettings(msgspec.Struct, frozen=True):
    """``[app]``: what to watch, and whom to tell."""

    twitter: str = ""
    """A search that answers ``[{"id": …, "text": …}]``."""
    feeds: tuple[str, ...] = ()
    """Addresses of JSON Feeds."""
    mail_server: str = ""
    mail_to: str = ""
    database: Path = Path("events.db")
    host: str = "127.0.0.1"
    port: int = 8010


class Event(msgspec.Struct, frozen=True):
    """Something that was seen."""

    id: str
    text: str


class Item(msgspec.Struct):
    """An entry of a JSON Feed."""

    id: str
    title: str = ""


class Feed(msgspec.Struct):
    """A JSON Feed."""

    items: list[Item]


app = App("monitor", settings=MonitorSettings, config=Path(__file__).with_name("corten.toml"))


def read(url: str) -> bytes:
    """What is at an address; blocks."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
        return content


@app.pipeline("twitter_api")
async def tweets(url: str) -> list[Event]:
    """What the search finds now."""
    return msgspec.json.decode(await anyio.to_thread.run_sync(read, url), type=list[Event])


@app.pipeline("news_feeds")
async def news(url: str) -> list[Event]:
    """What is in a feed now."""
    feed = msgspec.json.decode(await anyio.to_thread.run_sync(read, url), type=Feed)
    return [Event(item.id, item.title) for item in feed.items]


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """The database, with its table."""
    with closing(sqlite3.connect(app.settings.database)) as database:
        database.execute("create table if not exists events (id text primary key, text text not null)")
        yield database


@app.pipeline("database")
async def keep(found: list[Event]) -> list[Event]:
    """Keep events, and give back those that were not known."""

    def insert() -> list[Event]:
        with opened() as database, database:
            sql = "insert or ignore into events values (?, ?)"
            return [each for each in found if database.execute(sql, (each.id, each.text)).rowcount]

    return await anyio.to_thread.run_sync(insert)


@app.pipeline("email_service")
async def mail(event: Event) -> None:
    """Tell of an event; its id is the mail's, so that one that is sent twice can be known."""
    message = EmailMessage()
    message["Subject"], message["To"], message["From"] = event.text[:60], app.settings.mail_to, "monitor@localhost"
    message["Message-ID"] = f"<{event.id}@monitor>"
    message.set_content(event.text)

    def send() -> None:
        host, _, port = app.settings.mail_server.partition(":")
        with smtplib.SMTP(host, int(port or 25), timeout=30) as server:
            server.send_message(message)

    await anyio.to_thread.run_sync(send)


@app.task
async def watch() -> None:
    """Look at every source; one that fails does not keep the others from being looked at.

    A task, which is cancelled at shutdown: the retries of pages and mails are too patient to be waited for.
    """
    while True:
        for source, url in [(tweets, app.settings.twitter), *((news, feed) for feed in app.settings.feeds)]:
            if not url:
                continue
            try:
                new = await keep(await source(url))
                for event in new if app.settings.mail_server else ():
                    await mail(event)
            except Exception as error:  # noqa: BLE001 - it came by `note` already; a refusal says when to come again
                log.info("skipped %s: %s", url, error)
        await app.clock.sleep(30)


@app.on_error()
def note(details: ErrorDetails) -> None:
    """Every error of every component, in one place."""
    log.warning("%s failed: %s: %s", details.component, type(details.error).__name__, details.error)


@app.pipeline("api_endpoints")
async def events() -> list[Event]:
    """The last events."""

    def select() -> list[Event]:
        with opened() as database:
            return [Event(*row) for row in database.execute("select id, text from events order by rowid desc limit 50")]

    return await anyio.to_thread.run_sync(select)


@app.check("services", critical=False)
async def services() -> Finding | None:
    """Degraded while a breaker is open, or while more than half of what a service was asked is refused."""
    held = {name: pipeline.statistics() for name, pipeline in app.pipelines.items()}
    stopped = [name for name, each in held.items() if any(breaker.state == "open" for breaker in each.breakers)]
    busy = [name for name, each in held.items() if sum(each.refused.values()) > each.calls / 2]
    if not stopped and not busy:
        return None
    return Finding("degraded", f"stopped: {', '.join(stopped) or 'none'}; busy: {', '.join(busy) or 'none'}")


async def report() -> dict[str, Any]:
    """The state of everything."""
    return {
        "state": app.state,
        "health": await app.health.run(),
        "pipelines": {name: pipeline.statistics() for name, pipeline in app.pipelines.items()},
        "tasks": app.tasks(),
        "errors": app.errors.statistics(),
        "settings": app.reload_statistics(),
    }


async def answer(request: Request) -> Response:
    """``/events`` and ``/report``; 429 where too many ask."""
    try:
        value = await events() if request.url.path == "/events" else await report()
        return Response(msgspec.json.encode(value), media_type="application/json")
    except Refused as refusal:
        later = {"Retry-After": str(max(1, round(refusal.retry_after or 1)))}
        return Response(msgspec.json.encode({"error": refusal.reason}), 429, later, "application/json")


api = Starlette(routes=[Route("/events", answer), Route("/report", answer)])
app.add(serve(api, host=lambda: app.settings.host, port=lambda: app.settings.port))

if __name__ == "__main__":
    app.run()
