"""The settings, and addresses as people see them."""

from __future__ import annotations

import pytest

from corten.errors import SettingsError
from corten.secrets import Secret
from corten.settings import load
from corten_postgres import PostgresSettings
from corten_postgres.plugin import SECTION
from corten_postgres.settings import Address


@pytest.mark.parametrize(
    ("dsn", "server", "database", "user"),
    [
        ("postgresql://ann:pw@db.example:5433/app", "db.example:5433", "app", "ann"),
        ("postgres://ann:p%40w@db.example/app?sslmode=require", "db.example:5432", "app", "ann"),
        ("postgresql://ann@a:1,b:2/app", "a:1,b:2", "app", "ann"),
        ("postgresql://ann@[::1]:5433/app", "[::1]:5433", "app", "ann"),
        ("postgresql:///app?host=/run/postgresql&user=ann", "/run/postgresql:5432", "app", "ann"),
        ("postgresql://ann@db", "db:5432", "ann", "ann"),
    ],
)
def test_an_address_is_read_from_a_dsn(dsn: str, server: str, database: str, user: str) -> None:
    assert Address.of(dsn) == Address(server, user, database)


def test_an_address_never_shows_the_password() -> None:
    settings = PostgresSettings(dsn=Secret("postgresql://ann:canary@db:5432/app"))
    assert "canary" not in f"{settings.address()} {settings!r}"


def test_an_unreadable_dsn_is_shown_as_unknown() -> None:
    assert Address.of("postgresql://[::1/x").server == "?"


def test_dsn_and_host_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="dsn and host are both set"):
        PostgresSettings(dsn=Secret("postgresql://db"), host="db")


def test_a_pool_must_hold_its_first_connections() -> None:
    with pytest.raises(ValueError, match=r"min_size \(5\) is more than max_size \(2\)"):
        PostgresSettings(host="db", min_size=5, max_size=2)


def test_environment_names_of_other_systems_are_understood() -> None:
    environ = {"DATABASE_URL": "postgresql://ann@db/app", "POSTGRES_MIN_SIZE": "5", "POSTGRES_MAX_SIZE": "20"}
    settings = load([SECTION], file=None, environ=environ, secrets=None, arguments=None)
    mine = settings.section("postgres")["default"]
    assert isinstance(mine, PostgresSettings)
    assert mine.dsn is not None
    assert (mine.dsn.reveal(), mine.min_size, mine.max_size) == ("postgresql://ann@db/app", 5, 20)


def test_without_an_address_there_is_no_instance() -> None:
    settings = load([SECTION], file=None, environ={}, secrets=None, arguments=None)
    assert not settings.is_active("postgres")


def test_a_wrong_value_is_reported_with_its_source() -> None:
    environ = {"DATABASE_URL": "postgresql://db/app", "CORTEN_POSTGRES__RECYCLE": "soon"}
    with pytest.raises(SettingsError, match=r"recycle.*CORTEN_POSTGRES__RECYCLE"):
        load([SECTION], file=None, environ=environ, secrets=None, arguments=None)
