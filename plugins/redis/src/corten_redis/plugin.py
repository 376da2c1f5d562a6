"""What Corten is told about Redis: settings, resources, checks, gauges, the cache tier, a server for development."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from corten.cache import CacheTier
from corten.clock import Clock
from corten.events import Degraded, Recovered
from corten.health import Check, Finding
from corten.hookspecs import hookimpl
from corten.metrics import Collector, Measurement
from corten.plugins import DevService, Resource
from corten.rate_limit import LimiterBackend
from corten.settings import Section
from corten_redis.dev_service import dev_service
from corten_redis.errors import RedisUnavailable
from corten_redis.limiter import RedisLimiter
from corten_redis.redis import Redis
from corten_redis.settings import RedisSettings
from corten_redis.tier import RedisTier

if TYPE_CHECKING:
    from corten.app import App

SECTION = Section(
    name="redis",
    type=RedisSettings,
    instances=True,
    aliases={"REDIS_URL": "url", "REDIS_MAX_CONNECTIONS": "max_connections"},
    activated_by=("url",),
)


class RedisPlugin:
    """The plugin ``redis``."""

    requires_corten = ">=0.1"
    backends = ("asyncio",)

    def __init__(self) -> None:
        self._settings: dict[str, RedisSettings] = {}
        self._tiers: dict[str, RedisTier] = {}
        self._limiters: dict[str, RedisLimiter] = {}

    @hookimpl
    def corten_settings(self) -> Sequence[Section]:
        """The section ``[redis]``; each sub-table is a server more."""
        return [SECTION]

    @hookimpl
    def corten_dev_services(self) -> Sequence[DevService]:
        """Valkey 9 as a wheel."""
        return [dev_service()]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        """A pool for each instance."""
        self._settings = dict(cast("dict[str, RedisSettings]", app.section("redis")))
        return [
            Resource(provides=Redis, name=instance, open=_opener(instance, settings))
            for instance, settings in self._settings.items()
        ]

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Whether each server answers; without one that is not ``required`` the App is degraded, not down."""
        return [
            Check(name=_label(instance), run=_check(app.get(Redis, instance), app.clock), critical=settings.required)
            for instance, settings in self._settings.items()
        ]

    @hookimpl
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """The pools', tiers' and limiters' gauges and counters."""
        servers = {instance: app.get(Redis, instance) for instance in self._settings}
        return [Collector(name="redis", collect=lambda: measurements(servers, self._tiers, self._limiters))]

    @hookimpl
    def corten_cache_tiers(self, app: App[Any]) -> Sequence[CacheTier]:
        """A tier on the default instance, and on those with ``tier = true``."""
        self._tiers = {
            instance: RedisTier(app.get(Redis, instance), _label(instance))
            for instance, settings in self._settings.items()
            if (instance == "default" if settings.tier is None else settings.tier)
        }
        return list(self._tiers.values())

    @hookimpl
    def corten_limiter_backends(self, app: App[Any]) -> Sequence[LimiterBackend]:
        """Limits on the default instance, and on those with ``limits = true``."""
        self._limiters = {
            instance: RedisLimiter(app.get(Redis, instance), _label(instance))
            for instance, settings in self._settings.items()
            if (instance == "default" if settings.limits is None else settings.limits)
        }
        return list(self._limiters.values())


def measurements(
    servers: Mapping[str, Redis], tiers: Mapping[str, RedisTier], limiters: Mapping[str, RedisLimiter]
) -> Iterable[Measurement]:
    """What the pools, tiers and limiters show of themselves at this moment."""
    for instance, redis in servers.items():
        now = redis.statistics()
        attributes = (("pool", instance),)
        for name, value, description in (
            ("up", float(now.up), "Whether the server is there."),
            ("pool_idle", now.idle, "Connections that nobody uses."),
            ("pool_in_use", now.in_use, "Connections that are lent."),
            ("pool_waiting", now.waiting, "Calls that wait for a connection."),
            ("pool_max_size", now.max_connections, "The most connections the pool may have."),
        ):
            yield Measurement(f"corten_redis_{name}", value, attributes, description)
        for name, value, description in (
            ("commands", now.commands, "Commands that were sent or tried."),
            ("failures", now.failures, "Commands that failed."),
            ("pool_exhausted", now.exhausted, "Calls that waited for a connection in vain."),
            ("undecodable", now.undecodable, "Values that were not of the type asked for."),
        ):
            yield Measurement(f"corten_redis_{name}", value, attributes, description, kind="counter")
    for instance, tier in tiers.items():
        done = tier.statistics()
        for outcome, value in (("hit", done.hits), ("miss", done.misses), ("bypassed", done.bypassed)):
            yield Measurement(
                "corten_redis_tier_reads", value, (("pool", instance), ("outcome", outcome)),
                "Reads of the shared cache tier.", kind="counter",
            )  # fmt: skip
        yield Measurement(
            "corten_redis_tier_dropped", done.dropped, (("pool", instance),),
            "Writes to the shared cache tier that were dropped.", kind="counter",
        )  # fmt: skip
    for instance, limiter in limiters.items():
        asked = limiter.statistics()
        for outcome, value in (("granted", asked.granted), ("refused", asked.refused), ("failed", asked.failed)):
            yield Measurement(
                "corten_redis_limiter_requests", value, (("pool", instance), ("outcome", outcome)),
                "Requests for tokens of shared rate limits.", kind="counter",
            )  # fmt: skip


def _opener(instance: str, settings: RedisSettings) -> Callable[[App[Any]], AbstractAsyncContextManager[Redis]]:
    @asynccontextmanager
    async def open_pool(app: App[Any]) -> AsyncGenerator[Redis, None]:
        gone_at = app.clock.now()

        def on_change(up: bool, reason: str) -> None:
            nonlocal gone_at
            if up:
                app.events.emit(Recovered(what=_label(instance), seconds=app.clock.now() - gone_at))
            else:
                gone_at = app.clock.now()
                app.events.emit(Degraded(what=_label(instance), reason=reason))

        async with Redis.open(settings, instance=instance, clock=app.clock, on_change=on_change) as redis:
            yield redis

    return open_pool


def _check(redis: Redis, clock: Clock) -> Callable[[], Any]:
    async def run() -> Finding:
        try:
            await redis.ping()
        except RedisUnavailable as error:
            away: dict[str, str | int | float | bool | None] = {
                "address": redis.address,
                "seconds": round(clock.now() - redis.reachability.since, 3),
            }
            return Finding("down" if redis.required else "degraded", str(error), away)
        now = redis.statistics()
        details = {"in_use": now.in_use, "idle": now.idle, "waiting": now.waiting, "max_size": now.max_connections}
        return Finding("up", "", details)

    return run


def _label(instance: str) -> str:
    return "redis" if instance == "default" else f"redis.{instance}"
