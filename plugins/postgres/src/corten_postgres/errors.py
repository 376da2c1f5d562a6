"""Database errors by cause: the connection, a constraint, a time limit, the statement."""

from __future__ import annotations

from typing import Any

import asyncpg

from corten.errors import CortenError, DeadlineExceeded, ResourceUnavailable

SHOWN = 200
"""How much of a statement an error shows."""


def one_line(sql: str) -> str:
    """A statement as one line that fits into a message."""
    line = " ".join(sql.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


class QueryError(CortenError):
    """The server or the driver refused a statement; repeating it would not help.

    :ivar message: the server's or driver's message
    :ivar query: the statement, without its arguments
    :ivar sqlstate: PostgreSQL's five-character code; empty where the driver refused
    :ivar detail: the server's detail, which may hold values of the row and is therefore not part of the message
    """

    retryable = False

    def __init__(self, message: str, query: str = "", sqlstate: str = "", detail: str = "") -> None:
        super().__init__(message, query, sqlstate, detail)
        self.message = message
        self.query = query
        self.sqlstate = sqlstate
        self.detail = detail

    def __str__(self) -> str:
        code = f" ({self.sqlstate})" if self.sqlstate else ""
        query = f"; query: {one_line(self.query)}" if self.query else ""
        return f"{self.message}{code}{query}"


class ConstraintViolation(QueryError):
    """A row breaks a rule of its table.

    :ivar constraint: the constraint's name
    :ivar table: the table's name
    :ivar column: the column's name where there is one
    """

    def __init__(
        self,
        message: str,
        query: str = "",
        sqlstate: str = "",
        detail: str = "",
        constraint: str = "",
        table: str = "",
        column: str = "",
    ) -> None:
        super().__init__(message, query, sqlstate, detail)
        self.args = (message, query, sqlstate, detail, constraint, table, column)
        self.constraint = constraint
        self.table = table
        self.column = column


class UniqueViolation(ConstraintViolation):
    """There is such a key already."""


class ForeignKeyViolation(ConstraintViolation):
    """A row refers to a missing row, or a deleted row is still referred to."""


class NotNullViolation(ConstraintViolation):
    """A column that must have a value has none."""


class CheckViolation(ConstraintViolation):
    """A value is outside of what a check allows."""


class ExclusionViolation(ConstraintViolation):
    """A row excludes another one."""


class SerializationFailure(QueryError):
    """A serializable transaction met another one: run the whole transaction again."""

    retryable = True


class DeadlockDetected(QueryError):
    """The server ended this transaction to resolve a deadlock: run the whole transaction again."""

    retryable = True


class RowError(QueryError):
    """A row does not fit the type that was asked for."""


class RowMissing(QueryError):
    """A query that was to give a row gave none."""


class ConnectionLost(ResourceUnavailable):
    """The connection broke during a statement, or cannot be made.

    Corten does not repeat statements by itself; a retry policy may repeat statements that are idempotent.

    :ivar outcome_unknown: the statement had been sent; the server may have carried it out
    """

    def __init__(self, message: str, outcome_unknown: bool = False) -> None:
        super().__init__(message, outcome_unknown)
        self.message = message
        self.outcome_unknown = outcome_unknown

    def __str__(self) -> str:
        return self.message


class QueryTimeout(DeadlineExceeded):
    """A statement took too long; it was cancelled on the server if the server still answered."""


_VIOLATIONS: dict[str, type[ConstraintViolation]] = {
    "23502": NotNullViolation,
    "23503": ForeignKeyViolation,
    "23505": UniqueViolation,
    "23514": CheckViolation,
    "23P01": ExclusionViolation,
}
_AGAIN: dict[str, type[QueryError]] = {"40001": SerializationFailure, "40P01": DeadlockDetected}
# Administrator's shutdown, crash shutdown, starting up, too many connections (Appendix A of PostgreSQL's manual).
_AWAY = {"57P01", "57P02", "57P03", "53300"}


def is_loss(error: BaseException, *, closed: bool) -> bool:
    """Return whether an error means that the connection failed, and not the statement.

    :param closed: whether the connection is closed now: asyncpg then also raises errors of its own state machine
        (InternalClientError, InterfaceError) that do not name the cause
    """
    if isinstance(error, asyncpg.PostgresError):
        state = str(getattr(error, "sqlstate", None) or "")
        return state.startswith("08") or state in _AWAY
    if isinstance(error, TimeoutError):  # an OSError since 3.3, and not a loss
        return False
    if isinstance(error, OSError | EOFError):
        return True
    return closed and isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError)


def translate(error: Exception, name: str, sql: str, *, closed: bool, seconds: float | None) -> Exception:
    """Translate an error of the driver; errors of the caller are returned as they are.

    :param name: the resource, for people: ``postgres 'default'``
    :param seconds: the time limit of the statement
    """
    if is_loss(error, closed=closed):
        cause = f"{error}" or type(error).__name__
        return ConnectionLost(
            f"{name}: the connection broke during a statement ({cause}); whether it was carried out is unknown; "
            f"query: {one_line(sql)}",
            outcome_unknown=True,
        )
    if isinstance(error, TimeoutError) and not isinstance(error, CortenError):
        return QueryTimeout(f"{name}: {one_line(sql)}", seconds or 0.0)
    if isinstance(error, asyncpg.PostgresError):
        return _refused(error, name, sql)
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return QueryError(f"{name}: {error}", sql)
    return error


def _refused(error: asyncpg.PostgresError, name: str, sql: str) -> QueryError:
    def said(field: str) -> str:
        value: Any = getattr(error, field, None)
        return str(value or "")

    state = said("sqlstate")
    words, detail = f"{name}: {error.args[0] if error.args else state}", said("detail")
    if state.startswith("23"):
        kind = _VIOLATIONS.get(state, ConstraintViolation)
        return kind(words, sql, state, detail, said("constraint_name"), said("table_name"), said("column_name"))
    return _AGAIN.get(state, QueryError)(words, sql, state, detail)
