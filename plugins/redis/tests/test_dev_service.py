"""The server for development: answers, keeps its data, and is gone afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from corten.secrets import Secret
from corten_redis import Redis, RedisSettings, RedisUnavailable
from corten_redis.dev_service import dev_service, missing

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_its_data_stays_from_one_run_to_the_next(tmp_path: Path) -> None:
    assert missing() is None
    urls = []
    for run in (1, 2):
        async with dev_service().start(tmp_path) as settings:
            urls.append(str(settings["url"]))
            async with Redis.open(RedisSettings(url=Secret(urls[-1]), required=True)) as redis:
                assert await redis.client.incr("runs") == run
    with pytest.raises(RedisUnavailable):
        async with Redis.open(RedisSettings(url=Secret(urls[-1]), required=True)):
            pass
