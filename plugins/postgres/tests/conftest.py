"""What the tests of the plugin share: a real server, a database of one's own, the plugin's resource on it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from tests.servers.postgres import PostgresServer, own_postgres_server, postgres_server

from corten.secrets import Secret
from corten_postgres import Postgres, PostgresSettings

__all__ = ["own_postgres_server", "postgres_server"]

Opener = Callable[..., AbstractAsyncContextManager[Postgres]]
_numbers = itertools.count()


@pytest.fixture
def anyio_backend() -> str:
    """The driver is asyncio's."""
    return "asyncio"


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """The address of an empty database."""
    return postgres_server.create_database(f"test_{next(_numbers)}")


@pytest.fixture
async def postgres(database: str) -> AsyncIterator[Postgres]:
    """The resource on an empty database, with three connections."""
    async with Postgres.open(PostgresSettings(dsn=Secret(database), max_size=3)) as postgres:
        yield postgres
