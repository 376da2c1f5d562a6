"""Redis or Valkey for Corten, on redis-py and hiredis."""

from corten.errors import PoolExhausted
from corten_redis.errors import RedisError, RedisUnavailable
from corten_redis.limiter import LimiterStatistics, RedisLimiter
from corten_redis.plugin import RedisPlugin
from corten_redis.redis import Redis, RedisStatistics
from corten_redis.settings import RedisSettings
from corten_redis.tier import RedisTier, TierStatistics

__all__ = [
    "LimiterStatistics",
    "PoolExhausted",
    "Redis",
    "RedisError",
    "RedisLimiter",
    "RedisPlugin",
    "RedisSettings",
    "RedisStatistics",
    "RedisTier",
    "RedisUnavailable",
    "TierStatistics",
]
