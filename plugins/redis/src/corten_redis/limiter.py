"""Rate limits that processes share: one atomic script for each request, by the server's clock."""

from __future__ import annotations

import math
from importlib.resources import files

import msgspec

from corten.errors import CortenError
from corten.rate_limit import SharedLimit, Verdict
from corten_redis.redis import Redis

_SCRIPT = files("corten_redis").joinpath("limiter.lua").read_text("utf-8")
_LONGEST = 1e15
"""Thirty years in microseconds: what a double holds exactly, next to the time of the day."""


class LimiterStatistics(msgspec.Struct, frozen=True):
    """What a limiter was asked so far, by all pipelines."""

    granted: int
    refused: int
    failed: int
    """Requests without an answer, because the server was away or refused; the process then counted alone."""


class RedisLimiter:
    """Keeps limits for several processes; implements :class:`~corten.rate_limit.LimiterBackend`.

    :param name: ``redis``, or ``redis.<instance>``
    """

    def __init__(self, redis: Redis, name: str = "redis") -> None:
        self._redis = redis
        self._name = name
        self._granted = self._refused = self._failed = 0

    @property
    def name(self) -> str:
        """The plugin instance behind it."""
        return self._name

    async def reserve(self, key: str, limit: SharedLimit, n: int, max_wait: float) -> Verdict:
        """Take ``n`` tokens if they come in time, by the server's clock.

        :raises RedisUnavailable: the server is away
        :raises PoolExhausted: no connection came free in time
        :raises RedisError: the server refused the script
        """
        longest = 0.0 if math.isnan(max_wait) else min(max(0.0, max_wait) * 1e6, _LONGEST)
        asked = (limit.algorithm, repr(1e6 / limit.rate), limit.burst, n, repr(longest))
        try:
            answer = await self._redis.run_script(_SCRIPT, (key,), asked)
        except CortenError:
            self._failed += 1
            raise
        granted, microseconds = bool(answer[0]), int(answer[1])
        if granted:
            self._granted += 1
        else:
            self._refused += 1
        return Verdict(granted, microseconds / 1e6)

    def statistics(self) -> LimiterStatistics:
        """Return the requests so far."""
        return LimiterStatistics(self._granted, self._refused, self._failed)
