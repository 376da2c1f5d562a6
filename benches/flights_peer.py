"""The flights job on aiokafka, asyncpg and aiocache: the peer of `flights.py`.

Messages, types, lookups, batches, tables, guarantees (commit after store, idempotent writes), broker and PostgreSQL
equal the example's. Retries, breaker and bulkhead are missing, which favours the peer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import asyncpg
import msgspec
from aiocache import cached
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

EXAMPLE = Path(__file__).parents[1] / "examples" / "flights"
sys.path.insert(0, str(EXAMPLE))
from data import FLIGHTS, flights, number, table
from model import Flight, Plane

COLUMNS = (*Flight.__struct_fields__, "airline", "destination_name", "aircraft", "seats")


class Job:
    """Lookups and storing on one pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.decoder = msgspec.json.Decoder(Flight)

    @cached(ttl=3600, noself=True)
    async def airline(self, carrier: str) -> str:
        return await self.pool.fetchval("select name from airlines where carrier = $1", carrier) or carrier

    @cached(ttl=3600, noself=True)
    async def airport(self, code: str) -> str:
        return await self.pool.fetchval("select name from airports where code = $1", code) or code

    @cached(ttl=3600, noself=True)
    async def plane(self, tail_number: str) -> Plane | bool:
        row = await self.pool.fetchrow(
            "select manufacturer, model, seats from planes where tail_number = $1", tail_number
        )
        return Plane(*row) if row else False  # aiocache takes None for a miss

    async def enriched(self, flight: Flight) -> tuple[object, ...]:
        aircraft = await self.plane(flight.tail_number) if flight.tail_number else None
        return (
            *msgspec.structs.astuple(flight),
            await self.airline(flight.carrier),
            await self.airport(flight.destination),
            f"{aircraft.manufacturer} {aircraft.model}" if aircraft else None,
            aircraft.seats if aircraft else None,
        )

    async def handle(self, messages: list) -> None:
        rows, dead = [], []
        for message in messages:
            try:
                rows.append(await self.enriched(self.decoder.decode(message.value)))
            except msgspec.ValidationError as error:
                dead.append((message.key.decode(), message.topic, message.value, type(error).__name__, str(error)))
        async with self.pool.acquire() as connection, connection.transaction():
            if rows:
                await connection.execute(
                    "create temporary table if not exists arriving "
                    "(like flights including defaults) on commit delete rows"
                )
                await connection.copy_records_to_table("arriving", records=rows, columns=COLUMNS)
                await connection.execute("insert into flights select * from arriving on conflict (id) do nothing")
            if dead:
                await connection.executemany(
                    "insert into peer_dead_letters values ($1, $2, $3, $4, $5) on conflict (id) do nothing", dead
                )


async def prepare(pool: asyncpg.Pool, bootstrap: str, topic: str) -> None:
    await pool.execute((EXAMPLE / "schema.sql").read_text())
    await pool.execute(
        "create table if not exists peer_dead_letters "
        "(id text primary key, topic text, value bytea, cause text, reason text)"
    )
    airlines = [(row["carrier"], row["name"]) for row in table("airlines")]
    airports = [(row["faa"], row["name"]) for row in table("airports")]
    planes = [(row["tailnum"], row["manufacturer"], row["model"], number(row["seats"])) for row in table("planes")]
    await pool.executemany("insert into airlines values ($1, $2)", airlines)
    await pool.executemany("insert into airports values ($1, $2) on conflict do nothing", airports)
    await pool.executemany("insert into planes values ($1, $2, $3, $4)", planes)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1)])
    await admin.close()


async def publish(bootstrap: str, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5, max_batch_size=256 * 1024)
    await producer.start()
    try:
        waiting = []
        for message in flights(topic):
            waiting.append(await producer.send(topic, message.value, message.key, headers=list(message.headers)))
            if len(waiting) == 10_000:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


async def main(bootstrap: str, dsn: str, topic: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=2, max_size=8) as pool:
        await prepare(pool, bootstrap, topic)
        job = Job(pool)
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        started = time.perf_counter()
        await consumer.start()
        publishing = asyncio.create_task(publish(bootstrap, topic))
        handled = 0
        while handled < FLIGHTS:
            batches = await consumer.getmany(timeout_ms=200, max_records=4000)
            for messages in batches.values():
                await job.handle(messages)
                handled += len(messages)
            if batches:
                await consumer.commit()
        await publishing
        seconds = time.perf_counter() - started
        await consumer.stop()
        stored = await pool.fetchval("select count(*) from flights")
        dead = await pool.fetchval("select count(*) from peer_dead_letters")
    print(json.dumps({"seconds": seconds, "stored": stored, "dead_lettered": dead}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run the flights job without Corten; prints one line of JSON.")
    for name in ("bootstrap", "dsn", "topic"):
        parser.add_argument(name)
    asyncio.run(main(**vars(parser.parse_args())))
