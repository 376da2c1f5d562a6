"""The verbs on a real server: bytes, JSON, times to live, deletion; the tier; the pool's limits."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import anyio
import msgspec
import pytest
from tests.servers.redis import RedisServer

from corten import deadline
from corten.errors import DeadlineExceeded
from corten.secrets import Secret
from corten_redis import PoolExhausted, Redis, RedisError, RedisSettings, RedisTier

pytestmark = [pytest.mark.anyio, pytest.mark.services]


class User(msgspec.Struct, frozen=True):
    id: int
    name: str


async def test_bytes_come_back_as_they_were(redis: Redis) -> None:
    await redis.set("key", b"\x00\xff")
    assert await redis.get("key") == b"\x00\xff"
    assert await redis.get("other") is None


async def test_values_come_back_as_their_type(redis: Redis) -> None:
    await redis.set_json("user:1", User(1, "ann"))
    assert await redis.get_json(User, "user:1") == User(1, "ann")
    assert await redis.get_json(User, "user:2") is None


@pytest.mark.parametrize("stored", [b'{"id": "one", "name": "ann"}', b"{", b"\x80\x04\x95pickled"])
async def test_a_value_of_another_version_is_missing_and_counted(redis: Redis, stored: bytes) -> None:
    await redis.set("user:1", stored)
    assert await redis.get_json(User, "user:1") is None
    assert redis.statistics().undecodable == 1


@pytest.mark.parametrize(("ttl", "milliseconds"), [(1.5, 1500), (timedelta(minutes=1), 60_000), (0.0001, 1)])
async def test_a_time_to_live_is_seconds_or_a_timedelta(redis: Redis, ttl: float, milliseconds: int) -> None:
    await redis.set("key", b"x", ttl)
    assert await redis.client.pttl(redis.prefix + "key") <= milliseconds


async def test_a_time_to_live_must_be_more_than_zero(redis: Redis) -> None:
    with pytest.raises(ValueError, match="must be more than zero seconds, not 0"):
        await redis.set("key", b"x", 0)


async def test_keys_carry_the_prefix(redis: Redis) -> None:
    await redis.set("key", b"x")
    assert await redis.client.get(redis.prefix + "key") == b"x"


async def test_deleting_says_how_many_there_were(redis: Redis) -> None:
    await redis.set("a", b"x")
    assert await redis.delete("a", "b") == 1
    assert await redis.delete() == 0


async def test_a_pattern_deletes_what_matches_under_the_own_prefix_alone(redis: Redis) -> None:
    for number in range(1200):
        await redis.set(f"user:{number}", b"x")
    await redis.set("order:1", b"x")
    await redis.client.set("test0:user:1", b"x")  # the prefix has brackets, which are no pattern
    assert await redis.delete_matching("user:*") == 1200
    assert await redis.get("order:1") == b"x"
    assert await redis.client.get("test0:user:1") == b"x"


async def test_a_refused_command_is_an_error_that_is_not_retryable(redis: Redis) -> None:
    await redis.client.rpush(redis.prefix + "list", "x")
    with pytest.raises(RedisError, match="WRONGTYPE") as caught:
        await redis.get("list")
    assert not caught.value.retryable
    assert redis.statistics().failures == 1


async def test_the_tier_stores_and_forgets(redis: Redis) -> None:
    tier = RedisTier(redis)
    await tier.set("a", b"x", 60.0)
    await tier.set("b", b"x", None)
    assert (await tier.get("a"), await tier.get("missing")) == (b"x", None)
    await tier.delete("a")
    assert await tier.get("a") is None
    now = tier.statistics()
    assert (now.hits, now.misses, now.bypassed, now.dropped) == (1, 2, 0, 0)


async def test_a_tier_that_is_refused_is_a_miss(redis: Redis) -> None:
    tier = RedisTier(redis)
    await redis.client.rpush(redis.prefix + "list", "x")
    assert await tier.get("list") is None
    assert tier.statistics().bypassed == 1


async def test_calls_beyond_the_limit_wait_their_turn(redis: Redis) -> None:
    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(redis.set, f"key:{number}", b"x")
    now = redis.statistics()
    assert (now.idle, now.in_use, now.waiting) == (3, 0, 0)


async def test_a_wait_for_a_connection_ends_with_the_deadline_around_it(redis_server: RedisServer) -> None:
    settings = RedisSettings(url=Secret(redis_server.url), max_connections=1, acquire_timeout=30)
    async with Redis.open(settings) as redis:
        blocked = asyncio.ensure_future(redis.client.blpop(["nothing"], timeout=1))
        await anyio.wait_all_tasks_blocked()
        with deadline.within(0.1), pytest.raises(PoolExhausted, match=r"within 0\.[01]\d* s; 1 of 1"):
            await redis.get("key")
        await blocked


async def test_an_exhausted_pool_is_a_typed_timeout_that_shows_its_state(redis_server: RedisServer) -> None:
    settings = RedisSettings(url=Secret(redis_server.url), max_connections=1, acquire_timeout=0.1)
    async with Redis.open(settings) as redis:
        blocked = asyncio.ensure_future(redis.client.blpop(["nothing"], timeout=1))
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(PoolExhausted, match=r"1 of 1 connections in use, .*or raise max_connections$") as caught:
            await redis.get("key")
        assert isinstance(caught.value, DeadlineExceeded)
        assert redis.statistics().exhausted == 1
        assert redis.statistics().up
        await blocked


async def test_a_cancelled_command_does_not_answer_the_next_one(redis_server: RedisServer) -> None:
    async with Redis.open(RedisSettings(url=Secret(redis_server.url), max_connections=1)) as redis:
        await redis.set("mine", b"mine")
        for delay in (0.0, 0.0001, 0.0005, 0.001):
            with anyio.move_on_after(delay):
                await redis.client.execute_command("ECHO", "not yours")
            assert await redis.get("mine") == b"mine"
        assert redis.statistics().in_use == 0


async def test_a_cancelled_wait_hands_its_turn_on(redis_server: RedisServer) -> None:
    settings = RedisSettings(url=Secret(redis_server.url), max_connections=1, acquire_timeout=5.0)
    async with Redis.open(settings) as redis:
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(redis.ping)
            cancelled = [asyncio.ensure_future(redis.ping()) for _ in range(50)]
            await asyncio.sleep(0)
            for number, task in enumerate(cancelled):
                if number % 2:
                    task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        assert (redis.statistics().in_use, redis.statistics().waiting) == (0, 0)
        await redis.ping()
