"""The query methods of the database, of a borrowed connection and of a transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Any, Final, TypeVar

import asyncpg

from corten_postgres.errors import RowMissing
from corten_postgres.rows import to_rows

T = TypeVar("T")
_SESSION_CHANGES: Final = frozenset({"SET", "RESET", "LISTEN", "PREPARE", "DECLARE CURSOR", "LOAD", "BEGIN"})


class Queries(ABC):
    """Runs statements with positional arguments (``$1``, ``$2`` …).

    ``timeout`` is in seconds, by default the setting ``command_timeout``. Besides the errors named below, every method
    raises

    - :class:`~corten_postgres.ConnectionLost`: the connection broke or none can be made (retryable)
    - :class:`~corten.errors.PoolExhausted`, :class:`~corten_postgres.QueryTimeout`: time was up
    - :class:`~corten_postgres.ConstraintViolation` and its kinds, :class:`~corten_postgres.QueryError`
    """

    name: str
    """The resource, for people: ``postgres 'default'``."""

    @abstractmethod
    async def _run(self, verb: str, sql: str, /, *arguments: Any, **options: Any) -> Any:
        """Call a method of asyncpg's connection, translate its errors, and note the connection's state."""

    async def fetch_all(self, kind: type[T], sql: str, *args: object, timeout: float | None = None) -> list[T]:
        """Return all rows, each as a ``kind``.

        Structs, dataclasses, typed dicts, named tuples and ``dict`` take columns by name, tuples by position; any other
        type is the type of the only column.

        :raises RowError: a row does not fit the type
        """
        records: Sequence[asyncpg.Record] = await self._run("fetch", sql, *args, timeout=timeout)
        return to_rows(kind, records, self.name, sql)

    async def fetch_one(self, kind: type[T], sql: str, *args: object, timeout: float | None = None) -> T:
        """The first row.

        :raises RowMissing: there is none
        :raises RowError: it does not fit the type
        """
        record = await self._run("fetchrow", sql, *args, timeout=timeout)
        if record is None:
            raise RowMissing(f"{self.name}: the query gave no row", sql)
        return to_rows(kind, (record,), self.name, sql)[0]

    async def fetch_optional(self, kind: type[T], sql: str, *args: object, timeout: float | None = None) -> T | None:
        """Return the first row; None without a row, or for a single column that is NULL.

        :raises RowError: it does not fit the type
        """
        record = await self._run("fetchrow", sql, *args, timeout=timeout)
        if record is None or (len(record) == 1 and record[0] is None):
            return None
        return to_rows(kind, (record,), self.name, sql)[0]

    async def fetch_value(self, kind: type[T], sql: str, *args: object, timeout: float | None = None) -> T:
        """Return the only column of the first row: ``fetch_value(int, "select count(*) from users")``.

        :raises RowMissing: there is no row
        :raises RowError: the value does not fit the type; NULL fits only optional types
        """
        return await self.fetch_one(kind, sql, *args, timeout=timeout)

    async def execute(self, sql: str, *args: object, timeout: float | None = None) -> int:
        """Run a statement, or a script without arguments; return the rows that the last statement touched."""
        status: str = await self._run("execute", sql, *args, timeout=timeout)
        return _count(status)

    async def execute_many(self, sql: str, rows: Iterable[Sequence[object]], *, timeout: float | None = None) -> None:
        """Run a statement once for each row of arguments, all or none."""
        await self._run("executemany", sql, rows, timeout=timeout)

    async def copy(
        self,
        table: str,
        records: Iterable[Sequence[object]] | AsyncIterable[Sequence[object]],
        columns: Sequence[str] | None = None,
        *,
        schema: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Write records by binary COPY, all or none, and return their number.

        :param columns: the columns in the order of each record; by default all columns of the table
        """
        status: str = await self._run(
            "copy_records_to_table", table, records=records, columns=columns, schema_name=schema, timeout=timeout
        )
        return _count(status)


def _count(status: str) -> int:
    """Return the rows of a status such as ``INSERT 0 5`` or ``COPY 12``; 0 for ``CREATE TABLE``."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0


def changes_session(sql: str, status: str) -> bool:
    """Return whether a statement may have changed the session; of a script only the last one is known."""
    return status in _SESSION_CHANGES or ";" in sql.rstrip("; \n")
