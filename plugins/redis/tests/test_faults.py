"""The server gone, hung and back: nobody waits for it, everybody knows, and it heals with no restart."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from tests.servers.process import free_port
from tests.servers.redis import RedisServer

from corten import App
from corten.app.internals import internals_of
from corten.events import Degraded, Event, Recovered
from corten.secrets import Secret
from corten_redis import Redis, RedisPlugin, RedisSettings, RedisTier, RedisUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[Redis]:
    async with Redis.open(RedisSettings(url=Secret(url), **{"retry_interval": 0.05, **settings})) as redis:
        yield redis


async def until(true: Callable[[], bool], limit: float = 10.0) -> None:
    """Poll: what is waited for happens in another process."""
    with anyio.fail_after(limit):
        while not true():  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_a_tier_whose_server_is_gone_is_a_miss_and_heals_by_itself(own_redis_server: RedisServer) -> None:
    async with opened(own_redis_server.url) as redis:
        tier = RedisTier(redis)
        await tier.set("key", b"x", None)
        own_redis_server.kill()
        assert await tier.get("key") is None
        await until(lambda: not redis.statistics().up)
        await tier.set("key", b"y", 60.0)
        await tier.delete("key")
        assert tier.statistics().dropped == 2
        assert tier.statistics().bypassed >= 1
        own_redis_server.start()
        await until(lambda: redis.statistics().up)
        await tier.set("key", b"z", None)
        assert await tier.get("key") == b"z"


async def test_while_the_server_is_gone_calls_cost_no_connect_attempts(own_redis_server: RedisServer) -> None:
    async with opened(own_redis_server.url, retry_interval=30.0) as redis:
        own_redis_server.kill()
        with pytest.raises(RedisUnavailable) as caught:
            await redis.get("key")
        assert caught.value.retryable
        await until(lambda: not redis.statistics().up)
        before = redis.statistics().probes
        began = time.monotonic()
        for _ in range(1000):
            with pytest.raises(RedisUnavailable, match="is away"):
                await redis.get("key")
        assert time.monotonic() - began < 5.0
        assert redis.statistics().probes == before


async def test_the_bare_client_is_refused_by_an_error_of_its_own_kind(own_redis_server: RedisServer) -> None:
    import redis.exceptions

    async with opened(own_redis_server.url, retry_interval=30.0) as redis_:
        own_redis_server.kill()
        with pytest.raises(redis.exceptions.ConnectionError):
            await redis_.client.get("key")
        await until(lambda: not redis_.statistics().up)
        with pytest.raises(redis.exceptions.ConnectionError, match="is away"):
            await redis_.client.get("key")


async def test_a_hung_server_holds_nobody_past_the_time_limit(own_redis_server: RedisServer) -> None:
    async with opened(own_redis_server.url, timeout=0.5, connect_timeout=0.3) as redis:
        own_redis_server.freeze()
        began = time.monotonic()
        with pytest.raises(RedisUnavailable):
            await redis.get("key")
        assert abs(time.monotonic() - began - 0.5) < 0.2
        await until(lambda: not redis.statistics().up)
        began = time.monotonic()
        with pytest.raises(RedisUnavailable, match="is away"):
            await redis.get("key")
        assert time.monotonic() - began < 0.1
        assert redis.statistics().in_use == 0
        own_redis_server.thaw()
        await until(lambda: redis.statistics().up)
        await redis.ping()


async def test_one_slow_command_does_not_take_the_server_for_gone(own_redis_server: RedisServer) -> None:
    async with opened(own_redis_server.url, timeout=0.1) as redis:
        before = redis.statistics().probes
        with pytest.raises(redis_timeout()):
            await redis.client.blpop(["nothing"], timeout=5)
        await until(lambda: redis.statistics().probes == before + 1)
        await redis.ping()
        assert redis.statistics().up


def redis_timeout() -> type[Exception]:
    import redis.exceptions

    return redis.exceptions.TimeoutError


async def test_a_restarted_server_costs_at_most_one_error_for_each_connection(own_redis_server: RedisServer) -> None:
    async with opened(own_redis_server.url, max_connections=5) as redis:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(redis.ping)
        own_redis_server.restart()
        errors = 0
        for _ in range(20):
            try:
                await redis.ping()
            except RedisUnavailable:
                errors += 1
        assert errors <= 5
        assert redis.statistics().up


async def test_without_the_server_the_app_starts_degraded_and_recovers_with_no_restart() -> None:
    server = RedisServer(port=free_port())
    arguments = {"redis.url": server.url, "redis.retry_interval": "50ms"}
    app = App("savings", plugins=[RedisPlugin], autoload=False, config=None, arguments=arguments)
    events: list[Event] = []
    app.events.subscribe(events.append)
    try:
        async with app:
            report = await app.health.run("ready")
            assert report.checks["redis"].status == "degraded"
            assert report.status == "degraded"
            assert [event.what for event in events if isinstance(event, Degraded)] == ["redis"]
            assert 'corten_redis_up{client="default"} 0' in app.registry.render()
            server.start()
            await until(lambda: app.get(Redis).statistics().up)
            assert [event.what for event in events if isinstance(event, Recovered)] == ["redis"]
            assert 'corten_redis_up{client="default"} 1' in app.registry.render()
            assert len(internals_of(app).life.tiers) == 1
            await app.get(Redis).ping()
    finally:
        server.close()


async def test_a_required_server_that_is_gone_stops_the_app_with_one_clear_error() -> None:
    port = free_port()
    arguments = {"redis.url": f"redis://:canary@127.0.0.1:{port}/0", "redis.required": True}
    app = App("savings", plugins=[RedisPlugin], autoload=False, config=None, arguments=arguments)
    with pytest.raises(RedisUnavailable, match=f"cannot connect to 127.0.0.1:{port}") as caught:
        async with app:
            pass
    assert "required = false" in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_a_required_server_is_down_in_the_check_while_it_is_gone(own_redis_server: RedisServer) -> None:
    arguments = {"redis.url": own_redis_server.url, "redis.required": True}
    app = App("savings", plugins=[RedisPlugin], autoload=False, config=None, arguments=arguments)
    async with app:
        own_redis_server.kill()
        report = await app.health.run("ready")
        assert report.checks["redis"].status == "down"
        assert report.status == "down"
