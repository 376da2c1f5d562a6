"""Getting the flights into the broker, and counting what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from data import flights
from tables import TOPIC

from corten import App
from corten.messages import OutgoingMessage
from corten_kafka import Kafka
from corten_postgres import Postgres


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
