"""The resource: a database with its pool."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from corten.clock import Clock
from corten_postgres.connection import Connection, Isolation
from corten_postgres.errors import is_loss, translate
from corten_postgres.opening import Opener
from corten_postgres.pool import Pool, PoolStatistics
from corten_postgres.queries import Queries, changes_session
from corten_postgres.settings import PostgresSettings

CLOSE_LIMIT = 5.0
"""Seconds that lent connections have to come back when the resource closes."""


class Postgres(Queries):
    """A PostgreSQL database; each method borrows a connection for one statement.

    ``app.get(Postgres)`` returns the database of the running App; ``Postgres.open(settings)`` opens one without an App.
    """

    def __init__(self, pool: Pool, command_timeout: float) -> None:
        self.name = pool.name
        self._pool = pool
        self._command_timeout = command_timeout

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: PostgresSettings,
        *,
        instance: str = "default",
        application: str = "corten",
        clock: Clock | None = None,
    ) -> AsyncGenerator[Postgres, None]:
        """Open the pool with its first connections; leaving closes it.

        :raises ConnectionLost: the server can't be reached, or does not let us in
        """
        name = f"postgres {instance!r}"
        pool = Pool(
            Opener(settings, name, application),
            name=name,
            clock=clock or Clock(),
            max_size=settings.max_size,
            acquire_timeout=settings.acquire_timeout,
            recycle=settings.recycle,
            pre_ping=settings.pre_ping,
        )
        try:
            await pool.open(settings.min_size)
            yield cls(pool, settings.command_timeout)
        finally:
            await pool.close(CLOSE_LIMIT)

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncGenerator[Connection, None]:
        """Borrow a connection for several statements; its session is reset before the next caller gets it.

        :param timeout: seconds to wait for a connection; by default the setting ``acquire_timeout``
        """
        member = await self._pool.acquire(timeout)
        try:
            yield Connection(member.connection, self.name, self._command_timeout)
        finally:
            self._pool.settle(member)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        read_only: bool = False,
        deferrable: bool = False,
        timeout: float | None = None,
    ) -> AsyncGenerator[Connection, None]:
        """Borrow a connection with a transaction on it: committed at the end, rolled back on an error.

        :param timeout: seconds to wait for a connection; by default the setting ``acquire_timeout``
        :raises ConnectionLost: also during the commit, with ``outcome_unknown``: it may have succeeded
        """
        member = (self._pool.take() if timeout is None else None) or await self._pool.acquire(timeout)
        connection = Connection(member.connection, self.name, self._command_timeout)
        clean = False
        try:
            async with connection.transaction(isolation=isolation, read_only=read_only, deferrable=deferrable):
                yield connection
            clean = connection.in_order
        except Exception:
            clean = connection.in_order
            raise
        finally:
            if clean:
                self._pool.give(member)
            else:
                self._pool.settle(member)

    def statistics(self) -> PoolStatistics:
        """The pool now, and what happened to it so far."""
        return self._pool.statistics()

    async def _run(self, verb: str, sql: str, /, *arguments: Any, **options: Any) -> Any:
        pool = self._pool
        member = pool.take() or await pool.acquire()
        connection = member.connection
        try:
            result = await getattr(connection, verb)(sql, *arguments, **options)
        except Exception as error:
            closed = connection.is_closed()
            seconds = options.get("timeout") or self._command_timeout
            told = translate(error, self.name, sql, closed=closed, seconds=seconds)
            if closed or is_loss(error, closed=closed):
                pool.drop(member)
            elif isinstance(error, asyncpg.PostgresError):
                pool.give(member)
            else:
                pool.settle(member)
            if told is error:
                raise
            raise told from error
        except BaseException:
            pool.settle(member)
            raise
        if verb == "execute" and changes_session(sql, result):
            pool.settle(member)
        else:
            pool.give(member)
        return result
