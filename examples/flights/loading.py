"""Getting the flights into the broker, and the tables that the service looks things up in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from corten_kafka import Kafka
from data import flights, number, table

from corten import App
from corten.messages import OutgoingMessage
from corten_postgres import Postgres

TOPIC = "flights"
PARTITIONS = 3


async def prepare(app: App[Any]) -> None:
    """Make the tables and the topic, and fill in what is looked up; what is there already stays."""
    postgres = app.get(Postgres)
    await postgres.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
    await postgres.execute_many(
        "insert into airlines values ($1, $2) on conflict do nothing",
        [(row["carrier"], row["name"]) for row in table("airlines")],
    )
    await postgres.execute_many(
        "insert into airports values ($1, $2) on conflict do nothing",
        [(row["faa"], row["name"]) for row in table("airports")],
    )
    await postgres.execute_many(
        "insert into planes values ($1, $2, $3, $4) on conflict do nothing",
        [(row["tailnum"], row["manufacturer"], row["model"], number(row["seats"])) for row in table("planes")],
    )
    await app.get(Kafka).ensure_topics({TOPIC: PARTITIONS})


async def begin(app: App[Any], count: int) -> int:
    """Begin anew where the last run was complete, or was of other flights; else say how much of it is there."""
    there = sum(await totals(app))
    if there >= count:
        await app.get(Postgres).execute("truncate flights")
        await app.dead_letters.purge("store")
        return 0
    return there


async def publish(app: App[Any], count: int, published: Callable[[int], object]) -> None:
    """Send the first ``count`` flights; returns when the broker has acknowledged them all."""

    def counted() -> Iterator[OutgoingMessage]:
        for sent, message in enumerate(flights(TOPIC, count), 1):
            yield message
            if sent % 1000 == 0:
                published(sent)

    await app.get(Kafka).send_many(counted())
    published(count)


async def totals(app: App[Any]) -> tuple[int, int]:
    """How many flights are stored, and how many dead-lettered."""
    stored = await app.get(Postgres).fetch_value(int, "select count(*) from flights")
    return stored, await app.dead_letters.count(source="store")
