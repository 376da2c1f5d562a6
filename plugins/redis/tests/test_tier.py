"""The shared tier of caches on a real server: tags, patterns, several processes, and the server gone."""

from __future__ import annotations

import uuid

import anyio
import pytest
from tests.servers.redis import RedisServer

from corten.cache import TaggedTier
from corten.clock import Clock
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.policies import Cache
from corten.secrets import Secret
from corten_redis import Redis, RedisSettings, RedisTier

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def names(redis: Redis) -> set[str]:
    return {key async for key in redis.keys_matching("*")}


async def test_a_tag_takes_along_what_has_it_and_itself(redis: Redis) -> None:
    tier = RedisTier(redis)
    assert isinstance(tier, TaggedTier)
    await tier.set_tagged("a", b"a", 60, ["red", "round"])
    await tier.set_tagged("b", b"b", None, ["red"])
    await tier.set_tagged("c", b"c", 60, ["round"])
    await tier.set("d", b"d", 60)
    await tier.delete_tagged("red")
    assert await names(redis) == {"c", "d", "tag:round"}
    await tier.delete_tagged("red")
    await tier.delete_tagged("round")
    assert await names(redis) == {"d"}
    assert tier.statistics().dropped == 0


async def test_a_tag_of_a_thousand_entries_is_forgotten_in_batches(redis: Redis) -> None:
    tier = RedisTier(redis)
    async with anyio.create_task_group() as group:
        for number in range(1_100):
            group.start_soon(tier.set_tagged, f"key:{number}", b"x", 60, ["all", f"tag{number % 2}"])
    await tier.delete_tagged("all")
    assert await names(redis) == {"tag:tag0", "tag:tag1"}


async def test_a_tag_lives_as_long_as_what_has_it(redis: Redis) -> None:
    tier = RedisTier(redis)
    await tier.set_tagged("long", b"x", 60, ["tag"])
    await tier.set_tagged("short", b"x", 0.05, ["tag"])
    assert 55_000 < await redis.client.pttl(redis.prefix + "tag:tag") <= 60_000
    while await redis.get("short") is not None:  # noqa: ASYNC110 - what is waited for happens on the server
        await anyio.sleep(0.01)
    await tier.set_tagged("other", b"x", 30, ["tag"])
    members = set(await redis.client.zrange(redis.prefix + "tag:tag", 0, -1))
    assert members == {(redis.prefix + "long").encode(), (redis.prefix + "other").encode()}
    await tier.set_tagged("for ever", b"x", None, ["tag"])
    assert await redis.client.pttl(redis.prefix + "tag:tag") == -1
    await tier.set_tagged("not at all", b"x", 0, ["tag"])
    assert await redis.get("not at all") is None


async def test_what_is_wanted_of_a_prefix_is_forgotten_and_nothing_else(redis: Redis) -> None:
    tier = RedisTier(redis)
    for number in range(600):
        await tier.set(f"mine*:{number}", b"x", 60)
    await tier.set_tagged("mine*:tagged", b"x", 60, ["mine*:blue", "mine*:green"])
    await tier.set("mine:7", b"x", 60)
    await tier.set_tagged("yours", b"x", 60, ["yours:blue"])
    await tier.delete_where("mine*:", lambda key: key.isdigit(), lambda tag: tag == "blue")
    assert await names(redis) == {"mine:7", "yours", "tag:yours:blue", "tag:mine*:green"}


def pipeline(tier: RedisTier, policy: Cache) -> Pipeline:
    """As another process has it."""
    made = Pipeline("users", policy, registry=Registry())
    runtime_of(made).bind(owner=object(), clock=Clock(), registry=Registry(), tiers=[tier])
    return made


async def test_invalidation_reaches_the_shared_tier(redis: Redis) -> None:
    calls: list[object] = []

    async def load(user: int | str | uuid.UUID, locale: str = "en") -> str:
        calls.append(user)
        return f"{user} {locale}"

    tier, policy = RedisTier(redis), Cache(ttl=60, shared=True, tags=("user:{user}", "locale:{locale}"))
    here = pipeline(tier, policy)
    loaded = here(load)
    cache = here.cache(loaded)

    async def made(*users: int | str | uuid.UUID) -> list[object]:
        """What a process has to make that has nothing itself."""
        calls.clear()
        elsewhere = pipeline(tier, policy)(load)
        for user in users:
            await elsewhere(user)
        return list(calls)

    everybody = (1, 2, "x" * 300, uuid.UUID(int=7))
    assert await made(*everybody) == list(everybody)
    assert await made(*everybody) == []
    assert await cache.get(2) == "2 en"
    await cache.invalidate(1)
    assert await made(*everybody) == [1]
    await cache.invalidate_tag("user:2")
    assert await made(*everybody) == [2]
    await cache.invalidate_matching("locale:e?")
    assert await made(*everybody) == list(everybody)
    # By key: a key that is stored as its hash goes as well, for nobody knows.
    await cache.invalidate_matching("0000*07:en")
    assert await made(*everybody) == [everybody[2], everybody[3]]
    await cache.clear()
    assert await made(*everybody) == list(everybody)
    await cache.set("by hand", 9)
    assert await made(9) == []
    await cache.invalidate_tag("user:9")
    assert await made(9) == [9]


async def test_a_result_written_while_it_is_invalidated_does_not_stay(redis: Redis) -> None:
    class Slow(RedisTier):
        async def set(self, key: str, value: bytes, ttl: float | None) -> None:
            writing.set()
            await anyio.wait_all_tasks_blocked()
            await super().set(key, value, ttl)

    writing = anyio.Event()
    tier = Slow(redis)
    guard = pipeline(tier, Cache(ttl=60, shared=True))

    @guard
    async def load(user: int) -> int:
        return user

    async with anyio.create_task_group() as group:
        group.start_soon(load, 1)
        await writing.wait()
        await guard.cache(load).invalidate(1)
    assert await names(redis) == set()
    assert await guard.cache(load).get(1) is None


async def test_a_server_that_is_gone_costs_no_call_its_result(own_redis_server: RedisServer) -> None:
    async with Redis.open(RedisSettings(url=Secret(own_redis_server.url), retry_interval=30)) as redis:
        tier = RedisTier(redis)
        guard = pipeline(tier, Cache(ttl=60, shared=True, tags=("user:{user}",)))

        @guard
        async def load(user: int) -> int:
            return user

        own_redis_server.kill()
        assert await load(1) == await load(1) == 1
        cache = guard.cache(load)
        assert await cache.invalidate(1)
        await cache.invalidate_tag("user:1")
        await cache.invalidate_matching("*")
        await cache.clear()
        assert await load(1) == 1
        assert tier.statistics().dropped >= 5
