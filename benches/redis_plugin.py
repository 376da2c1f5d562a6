"""The plugin `corten-redis` next to bare redis-py, on a real Redis.

The file is not named `redis`, because other benches would import it instead of the driver.

Bare redis-py has hiredis, a pool of ten connections and no retries.
"""

from __future__ import annotations

import asyncio
import sys
from importlib.resources import files
from pathlib import Path

import msgspec
import redis.asyncio as driver
from harness import Case, compare_here
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from corten.rate_limit import SharedLimit
from corten.secrets import Secret
from corten_redis import Redis, RedisLimiter, RedisSettings, RedisTier

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.redis import RedisServer

SCRIPT = files("corten_redis").joinpath("limiter.lua").read_text("utf-8")
TARGETS = {"redis-py": 1 / 0.95}


class User(msgspec.Struct, frozen=True):
    id: int
    name: str


async def by_hand_get(client: driver.Redis) -> User | None:
    value = await client.get("user")
    return None if value is None else msgspec.json.decode(value, type=User)


async def by_hand_set(client: driver.Redis, user: User) -> None:
    await client.set("user", msgspec.json.encode(user), px=60_000)


async def together(call: object, *args: object) -> None:
    await asyncio.gather(*(call(*args) for _ in range(50)))


async def main() -> None:
    with RedisServer() as server:
        pool = driver.BlockingConnectionPool.from_url(server.url, max_connections=10, retry=Retry(NoBackoff(), 0))
        plain = driver.ConnectionPool.from_url(server.url, max_connections=10, retry=Retry(NoBackoff(), 0))
        client = driver.Redis(connection_pool=plain)
        blocking = driver.Redis(connection_pool=pool)
        async with Redis.open(RedisSettings(url=Secret(server.url), max_connections=10)) as redis:
            await measure(redis, client, blocking)
        await client.aclose()
        await plain.disconnect()
        await blocking.aclose()
        await pool.disconnect()


async def measure(redis: Redis, client: driver.Redis, blocking: driver.Redis) -> None:
    user = User(1, "ann")
    await redis.set_json("user", user)
    names = {"ours": redis, "client": client, "tier": RedisTier(redis), "user": user, "User": User}
    await compare_here(
        "get bytes",
        {
            "corten": 'await ours.get("user")',
            "corten, tier": 'await tier.get("user")',
            "corten, bare client": 'await ours.client.get("user")',
            "redis-py": 'await client.get("user")',
        },
        names=names,
        targets=TARGETS,
    )
    await compare_here(
        "get a struct",
        {
            "corten": 'await ours.get_json(User, "user")',
            "redis-py": Case("await by_hand(client)", by_hand=by_hand_get, client=client),
        },
        names=names,
        targets=TARGETS,
    )
    await compare_here(
        "set a struct with a time to live",
        {
            "corten": 'await ours.set_json("user", user, 60.0)',
            "redis-py": Case("await by_hand(client, user)", by_hand=by_hand_set, client=client, user=user),
        },
        names=names,
        targets=TARGETS,
    )
    await compare_here(
        "50 gets at once over 10 connections",
        {
            "corten": Case('await together(call, "user")', together=together, call=redis.get, operations=50),
            "redis-py": Case('await together(call, "user")', together=together, call=blocking.get, operations=50),
        },
        targets=TARGETS,
    )
    shared = SharedLimit("token_bucket", 1e6, 1_000_000)
    sha = await client.script_load(SCRIPT)
    arguments = ("token_bucket", "1.0", 1_000_000, 1, "0.0")
    await compare_here(
        "ask a limit that processes share",
        {
            "corten": Case('await limiter.reserve("limit", limit, 1, 0.0)', limiter=RedisLimiter(redis), limit=shared),
            "redis-py": Case(
                'await client.evalsha(sha, 1, "by hand", *arguments)', client=client, sha=sha, arguments=arguments
            ),
        },
        targets=TARGETS,
    )


if __name__ == "__main__":
    asyncio.run(main())
