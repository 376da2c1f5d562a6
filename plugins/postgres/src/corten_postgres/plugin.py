"""The plugin ``postgres``: settings, pools, checks, gauges, dead letters, a server for development."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from corten.dead_letters import DeadLetterStore
from corten.health import Check, Finding
from corten.hookspecs import hookimpl
from corten.metrics import Collector, Measurement
from corten.plugins import DevService, Instances, Resource
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

    backends = ("asyncio",)

    def __init__(self) -> None:
        self._instances = Instances(SECTION, Postgres)

    @hookimpl
    def corten_settings(self) -> Sequence[Section[Any]]:
        """The section ``[postgres]``; each sub-table is another database."""
        return [SECTION]

    @hookimpl
    def corten_dev_services(self) -> Sequence[DevService]:
        """PostgreSQL 18 as a wheel."""
        return [dev_service()]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        """A pool for each instance."""
        return self._instances.resources(app, _open)

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Whether each database answers a statement."""
        return [Check(name=each.label, run=_check(each.resource)) for each in self._instances.opened(app)]

    @hookimpl
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """Gauges and counters of the pools."""
        return self._instances.collectors(app, measurements)

    @hookimpl
    def corten_dead_letter_stores(self, app: App[Any]) -> Sequence[tuple[str, DeadLetterStore]]:
        """``postgres``, or ``postgres.<instance>``: the table ``corten_dead_letters`` of that database."""
        return [
            (each.label, PostgresDeadLetters(each.resource, max_letters=each.settings.max_dead_letters))
            for each in self._instances.opened(app)
            if each.chosen(each.settings.dead_letters)
        ]


def measurements(instance: str, postgres: Postgres) -> Iterable[Measurement]:
    """Return what the pool of an instance shows now."""
    now = postgres.statistics()
    attributes = (("client", instance),)
    for name, value, description in (
        ("size", now.size, "Connections that are open or being opened."),
        ("idle", now.idle, "Connections that nobody uses."),
        ("in_use", now.in_use, "Connections that are lent, being opened or being reset."),
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


def _open(app: App[Any], instance: str, settings: PostgresSettings) -> AbstractAsyncContextManager[Postgres]:
    return Postgres.open(settings, instance=instance, application=app.name, clock=app.clock)


def _check(postgres: Postgres) -> Callable[[], Any]:
    async def run() -> Finding:
        await postgres.fetch_value(int, "select 1", timeout=2.0)
        now = postgres.statistics()
        details = {"in_use": now.in_use, "idle": now.idle, "waiting": now.waiting, "max_size": now.max_size}
        if now.waiting:
            return Finding("degraded", f"{now.waiting} calls wait for a connection", details)
        return Finding("up", "", details)

    return run
