"""The plugin ``redis``: settings, pools, checks, gauges, cache tier, shared limits, a server for development."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from corten.cache import CacheTier
from corten.clock import Clock
from corten.events import Degraded, Recovered
from corten.health import Check, Finding
from corten.hookspecs import hookimpl
from corten.metrics import Collector, Measurement
from corten.plugins import DevService, Instances, Resource
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

    backends = ("asyncio",)

    def __init__(self) -> None:
        self._instances = Instances(SECTION, Redis)
        self._tiers: dict[str, RedisTier] = {}
        self._limiters: dict[str, RedisLimiter] = {}

    @hookimpl
    def corten_settings(self) -> Sequence[Section[Any]]:
        """The section ``[redis]``; each sub-table is another server."""
        return [SECTION]

    @hookimpl
    def corten_dev_services(self) -> Sequence[DevService]:
        """Valkey 9 as a wheel."""
        return [dev_service()]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        """A pool for each instance."""
        return self._instances.resources(app, self._open)

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Whether each server answers; without a server that is not ``required`` the App is degraded, not down."""
        return [
            Check(name=each.label, run=_check(each.resource, app.clock), critical=each.settings.required)
            for each in self._instances.opened(app)
        ]

    @hookimpl
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """Gauges and counters of the pools, tiers and limiters."""
        return self._instances.collectors(
            app, lambda name, redis: measurements(name, redis, self._tiers.get(name), self._limiters.get(name))
        )

    @hookimpl
    def corten_cache_tiers(self, app: App[Any]) -> Sequence[CacheTier]:
        """A tier on the default instance, and on those with ``tier = true``."""
        self._tiers = {
            each.name: RedisTier(each.resource, each.label)
            for each in self._instances.opened(app)
            if each.chosen(each.settings.tier)
        }
        return list(self._tiers.values())

    @hookimpl
    def corten_limiter_backends(self, app: App[Any]) -> Sequence[LimiterBackend]:
        """Limits on the default instance, and on those with ``limits = true``."""
        self._limiters = {
            each.name: RedisLimiter(each.resource, each.label)
            for each in self._instances.opened(app)
            if each.chosen(each.settings.limits)
        }
        return list(self._limiters.values())

    def _open(self, app: App[Any], instance: str, settings: RedisSettings) -> AbstractAsyncContextManager[Redis]:
        label, gone_at = self._instances.label(instance), app.clock.now()

        def on_change(up: bool, reason: str) -> None:
            nonlocal gone_at
            if up:
                app.events.emit(Recovered(what=label, seconds=app.clock.now() - gone_at))
            else:
                gone_at = app.clock.now()
                app.events.emit(Degraded(what=label, reason=reason))

        return Redis.open(settings, instance=instance, clock=app.clock, on_change=on_change)


def measurements(
    instance: str, redis: Redis, tier: RedisTier | None, limiter: RedisLimiter | None
) -> Iterable[Measurement]:
    """Return what an instance's pool, tier and limiter show now."""
    now = redis.statistics()
    attributes = (("client", instance),)
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
    if tier is not None:
        done = tier.statistics()
        for outcome, value in (("hit", done.hits), ("miss", done.misses), ("bypassed", done.bypassed)):
            yield Measurement(
                "corten_redis_tier_reads", value, (*attributes, ("outcome", outcome)),
                "Reads of the shared cache tier.", kind="counter",
            )  # fmt: skip
        yield Measurement(
            "corten_redis_tier_dropped", done.dropped, attributes,
            "Writes to the shared cache tier that were dropped.", kind="counter",
        )  # fmt: skip
    if limiter is not None:
        asked = limiter.statistics()
        for outcome, value in (("granted", asked.granted), ("refused", asked.refused), ("failed", asked.failed)):
            yield Measurement(
                "corten_redis_limiter_requests", value, (*attributes, ("outcome", outcome)),
                "Requests for tokens of shared rate limits.", kind="counter",
            )  # fmt: skip


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
