"""What Corten is told about PostgreSQL: settings, resources, checks, gauges, dead letters, a server for development."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from corten.dead_letters import DeadLetterStore
from corten.health import Check, Finding
from corten.hookspecs import hookimpl
from corten.metrics import Collector, Measurement
from corten.plugins import DevService, Resource
from corten.settings import Section
from corten_postgres.dead_letters import PostgresDeadLetters
from corten_postgres.dev_service import dev_service
from corten_postgres.postgres import Postgres
from corten_postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from corten.app import App

SECTION = Section(
    name="postgres",
    type=PostgresSettings,
    instances=True,
    aliases={
        "DATABASE_URL": "dsn",
        "POSTGRES_DSN": "dsn",
        "POSTGRES_MIN_SIZE": "min_size",
        "POSTGRES_MAX_SIZE": "max_size",
    },
    activated_by=("dsn", "host"),
)


class PostgresPlugin:
    """The plugin ``postgres``."""

    requires_corten = ">=0.1"
    backends = ("asyncio",)

    def __init__(self) -> None:
        self._settings: dict[str, PostgresSettings] = {}

    @hookimpl
    def corten_settings(self) -> Sequence[Section]:
        """The section ``[postgres]``; each sub-table is a database more."""
        return [SECTION]

    @hookimpl
    def corten_dev_services(self) -> Sequence[DevService]:
        """PostgreSQL 18 as a wheel."""
        return [dev_service()]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        """A pool for each instance."""
        self._settings = dict(cast("dict[str, PostgresSettings]", app.section("postgres")))
        return [
            Resource(provides=Postgres, name=instance, open=_opener(instance, settings))
            for instance, settings in self._settings.items()
        ]

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Whether each database answers a statement."""
        return [
            Check(name=_label("postgres", instance), run=_check(app.get(Postgres, instance)))
            for instance in self._settings
        ]

    @hookimpl
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """The pools' gauges and counters."""
        pools = {instance: app.get(Postgres, instance) for instance in self._settings}
        return [Collector(name="postgres", collect=lambda: measurements(pools.items()))]

    @hookimpl
    def corten_dead_letter_stores(self, app: App[Any]) -> Sequence[tuple[str, DeadLetterStore]]:
        """``postgres``, or ``postgres.<instance>``: the table ``corten_dead_letters`` of that database."""
        return [
            (
                _label("postgres", instance),
                PostgresDeadLetters(app.get(Postgres, instance), max_letters=settings.max_dead_letters),
            )
            for instance, settings in self._settings.items()
            if (instance == "default" if settings.dead_letters is None else settings.dead_letters)
        ]


def measurements(pools: Iterable[tuple[str, Postgres]]) -> Iterable[Measurement]:
    """What the pools show of themselves at this moment."""
    for instance, postgres in pools:
        now = postgres.statistics()
        attributes = (("pool", instance),)
        for name, value, description in (
            ("size", now.size, "Connections that are open or being opened."),
            ("idle", now.idle, "Connections that nobody uses."),
            ("in_use", now.in_use, "Connections that are lent, being opened or put in order."),
            ("waiting", now.waiting, "Calls that wait for a connection."),
            ("max_size", now.max_size, "The most connections the pool may have."),
        ):
            yield Measurement(f"corten_postgres_pool_{name}", value, attributes, description)
        for name, value, description in (
            ("opened", now.opened, "Connections that were opened."),
            ("recycled", now.recycled, "Connections replaced because of their age."),
            ("lost", now.lost, "Connections that broke or were cut off."),
            ("exhausted", now.exhausted, "Calls that waited for a connection in vain."),
        ):
            yield Measurement(f"corten_postgres_pool_{name}", value, attributes, description, kind="counter")


def _opener(instance: str, settings: PostgresSettings) -> Callable[[App[Any]], AbstractAsyncContextManager[Postgres]]:
    @asynccontextmanager
    async def open_pool(app: App[Any]) -> AsyncGenerator[Postgres, None]:
        async with Postgres.open(settings, instance=instance, application=app.name, clock=app.clock) as postgres:
            yield postgres

    return open_pool


def _check(postgres: Postgres) -> Callable[[], Any]:
    async def run() -> Finding:
        await postgres.fetch_value(int, "select 1", timeout=2.0)
        now = postgres.statistics()
        details = {"in_use": now.in_use, "idle": now.idle, "waiting": now.waiting, "max_size": now.max_size}
        if now.waiting:
            return Finding("degraded", f"{now.waiting} calls wait for a connection", details)
        return Finding("up", "", details)

    return run


def _label(word: str, instance: str) -> str:
    return word if instance == "default" else f"{word}.{instance}"
