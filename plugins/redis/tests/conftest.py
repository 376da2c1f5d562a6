"""What the tests of the plugin share: a real server, the plugin's resource on it with a key prefix of its own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from tests.servers.redis import RedisServer, own_redis_server, redis_server

from corten.secrets import Secret
from corten_redis import Redis, RedisSettings

__all__ = ["own_redis_server", "redis_server"]

_numbers = itertools.count()


@pytest.fixture
def anyio_backend() -> str:
    """The driver is asyncio's."""
    return "asyncio"


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """The resource, with three connections."""
    settings = RedisSettings(url=Secret(redis_server.url), max_connections=3, prefix=f"test[{next(_numbers)}]:")
    async with Redis.open(settings) as redis:
        yield redis
