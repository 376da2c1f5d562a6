"""PostgreSQL for Corten, on asyncpg."""

from corten.errors import PoolExhausted
from corten_postgres.connection import Connection
from corten_postgres.dead_letters import PostgresDeadLetters
from corten_postgres.errors import (
    CheckViolation,
    ConnectionLost,
    ConstraintViolation,
    DeadlockDetected,
    ExclusionViolation,
    ForeignKeyViolation,
    NotNullViolation,
    QueryError,
    QueryTimeout,
    RowError,
    RowMissing,
    SerializationFailure,
    UniqueViolation,
)
from corten_postgres.plugin import PostgresPlugin
from corten_postgres.pool import PoolStatistics
from corten_postgres.postgres import Postgres
from corten_postgres.settings import PostgresSettings

__all__ = [
    "CheckViolation",
    "Connection",
    "ConnectionLost",
    "ConstraintViolation",
    "DeadlockDetected",
    "ExclusionViolation",
    "ForeignKeyViolation",
    "NotNullViolation",
    "PoolExhausted",
    "PoolStatistics",
    "Postgres",
    "PostgresDeadLetters",
    "PostgresPlugin",
    "PostgresSettings",
    "QueryError",
    "QueryTimeout",
    "RowError",
    "RowMissing",
    "SerializationFailure",
    "UniqueViolation",
]
