"""The plugin in an App: resources, checks, gauges, dead letters, and what happens when the database is away."""

from __future__ import annotations

import pytest
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port

from corten import App
from corten.errors import CortenError, ResourceUnavailable
from corten.metrics import Snapshot
from corten_postgres import Postgres, PostgresDeadLetters, PostgresPlugin

pytestmark = [pytest.mark.anyio, pytest.mark.services]


def app_with(**arguments: object) -> App[None]:
    return App(
        "savings",
        plugins=[PostgresPlugin],
        autoload=False,
        config=None,
        arguments={f"postgres.{name.replace('__', '.')}": value for name, value in arguments.items()},
    )


def gauge(snapshot: Snapshot, name: str, instance: str) -> float:
    instrument = next(each for each in snapshot.instruments if each.name == name)
    values = {dict(series.attributes)["client"]: series.value for series in instrument.series}
    value = values[instance]
    assert isinstance(value, int | float)
    return value


async def test_each_instance_is_a_resource_of_its_own(postgres_server: PostgresServer, database: str) -> None:
    async with app_with(dsn=postgres_server.dsn(), reporting__dsn=database) as app:
        names = [
            await app.get(Postgres, instance).fetch_value(str, "select current_database()")
            for instance in ("default", "reporting")
        ]
        assert names == ["postgres", database.rpartition("/")[2]]
        application = "select current_setting('application_name')"
        assert await app.get(Postgres).fetch_value(str, application) == "savings"


async def test_the_check_and_the_gauges_tell_how_the_pool_stands(database: str) -> None:
    async with app_with(dsn=database, max_size=3) as app:
        async with app.get(Postgres).acquire():
            report = await app.health.run("ready")
            assert report.checks["postgres"].status == "up"
            assert report.checks["postgres"].details["max_size"] == 3
            snapshot = app.registry.snapshot()
            assert gauge(snapshot, "corten_postgres_pool_in_use", "default") == 1
            assert gauge(snapshot, "corten_postgres_pool_max_size", "default") == 3
        assert 'corten_postgres_pool_in_use{client="default"}' in app.registry.render()


async def test_the_check_is_down_while_the_server_is(own_postgres_server: PostgresServer) -> None:
    async with app_with(dsn=own_postgres_server.dsn()) as app:
        own_postgres_server.kill()
        report = await app.health.run("ready")
        assert report.checks["postgres"].status == "down"
        assert "postgres" in report.checks["postgres"].message


async def test_the_app_keeps_its_dead_letters_in_the_database(database: str) -> None:
    async with app_with(dsn=database) as app:
        assert isinstance(app.dead_letters, PostgresDeadLetters)


async def test_another_instance_keeps_the_dead_letters_where_it_is_told_to(database: str) -> None:
    async with app_with(archive__dsn=database, archive__dead_letters=True) as app:
        assert isinstance(app.dead_letters, PostgresDeadLetters)
    async with app_with(archive__dsn=database) as app:
        assert not isinstance(app.dead_letters, PostgresDeadLetters)


async def test_an_unreachable_database_stops_the_app_with_one_clear_error() -> None:
    port = free_port()
    with pytest.raises(CortenError) as caught:
        async with app_with(dsn=f"postgresql://ann:canary@127.0.0.1:{port}/app"):
            pass
    error = caught.value
    assert isinstance(error, ResourceUnavailable)
    assert f"cannot connect to 127.0.0.1:{port}, database 'app', user 'ann'" in str(error)
    assert "canary" not in str(error)


async def test_without_an_address_the_plugin_is_inactive() -> None:
    async with app_with() as app:
        with pytest.raises(ResourceUnavailable, match="postgres"):
            app.get(Postgres)
