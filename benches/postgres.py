"""The plugin `corten-postgres` next to bare asyncpg, on a real PostgreSQL.

Bare asyncpg is its pool, with rows made into structs by hand. The floor is one connection without a pool.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg
import msgspec
from harness import Case, compare_here

from corten.secrets import Secret
from corten_postgres import Postgres, PostgresSettings

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.postgres import PostgresServer

TARGET = 1 / 0.95
ROWS = 100


class Airport(msgspec.Struct, frozen=True):
    id: int
    code: str
    name: str
    altitude: int | None


async def by_hand_one(pool: asyncpg.Pool, sql: str, key: int) -> Airport:
    record = await pool.fetchrow(sql, key)
    return Airport(**record)


async def by_hand_all(pool: asyncpg.Pool, sql: str) -> list[Airport]:
    return [Airport(**record) for record in await pool.fetch(sql)]


async def bare_transaction(pool: asyncpg.Pool, sql: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(sql, 1)


async def our_transaction(postgres: Postgres, sql: str) -> None:
    async with postgres.transaction() as transaction:
        await transaction.execute(sql, 1)


async def together(call: object, *args: object) -> None:
    await asyncio.gather(*(call(*args) for _ in range(50)))


async def main() -> None:
    with PostgresServer() as server:
        dsn = server.dsn()
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=10)
        single = await asyncpg.connect(dsn)
        async with Postgres.open(PostgresSettings(dsn=Secret(dsn), max_size=10)) as postgres:
            await postgres.execute(
                "create table airports (id int primary key, code text not null, name text not null, altitude int)"
            )
            await postgres.copy("airports", [(n, f"A{n}", f"Airport number {n}", n or None) for n in range(ROWS)])
            await postgres.execute("create unlogged table written (x int, y text)")
            await measure(postgres, pool, single)
        await single.close()
        await pool.close()


async def measure(postgres: Postgres, pool: asyncpg.Pool, single: asyncpg.Connection) -> None:
    names = {"ours": postgres, "pool": pool, "single": single}
    targets = {"asyncpg pool": TARGET}
    await compare_here(
        "one value",
        {
            "corten": 'await ours.fetch_value(int, "select 1")',
            "asyncpg pool": 'await pool.fetchval("select 1")',
            "asyncpg connection": 'await single.fetchval("select 1")',
        },
        names=names,
        floor="asyncpg connection",
        targets=targets,
    )
    one = "select id, code, name, altitude from airports where id = $1"
    await compare_here(
        "one row as a struct, by key",
        {
            "corten": Case("await ours.fetch_one(Airport, sql, 7)", ours=postgres, Airport=Airport, sql=one),
            "asyncpg pool": Case("await by_hand(pool, sql, 7)", by_hand=by_hand_one, pool=pool, sql=one),
        },
        targets=targets,
    )
    every = "select id, code, name, altitude from airports"
    await compare_here(
        f"{ROWS} rows as structs",
        {
            "corten": Case("await ours.fetch_all(Airport, sql)", ours=postgres, Airport=Airport, sql=every),
            "asyncpg pool": Case("await by_hand(pool, sql)", by_hand=by_hand_all, pool=pool, sql=every),
        },
        targets=targets,
    )
    update = "update airports set altitude = $1 where id = 7"
    await compare_here(
        "a transaction of one statement",
        {
            "corten": Case("await call(ours, sql)", call=our_transaction, ours=postgres, sql=update),
            "asyncpg pool": Case("await call(pool, sql)", call=bare_transaction, pool=pool, sql=update),
        },
        targets=targets,
    )
    await compare_here(
        "50 values at once over 10 connections",
        {
            "corten": Case(
                'await together(call, int, "select 1")', together=together, call=postgres.fetch_value, operations=50
            ),
            "asyncpg pool": Case(
                'await together(call, "select 1")', together=together, call=pool.fetchval, operations=50
            ),
        },
        targets=targets,
    )
    records = [(number, "text of some length") for number in range(1000)]
    await compare_here(
        "COPY of 1,000 records, a record",
        {
            "corten": Case('await ours.copy("written", records)', ours=postgres, records=records, operations=1000),
            "asyncpg pool": Case(
                'await pool.copy_records_to_table("written", records=records)',
                pool=pool,
                records=records,
                operations=1000,
            ),
        },
        targets=targets,
    )


if __name__ == "__main__":
    asyncio.run(main())
