"""Opens one connection: address, limits, JSON by msgspec, and errors that say what to do."""

from __future__ import annotations

import ssl
from typing import Any

import asyncpg
import msgspec

from corten_postgres.errors import ConnectionLost
from corten_postgres.settings import Address, PostgresSettings

RawConnection = Any
"""asyncpg's connection; its types come from a stub package that users may not have."""

_decode = msgspec.json.decode
_JSONB_VERSION = b"\x01"
# Where a failure to connect comes from, by the class of asyncpg or the system that reports it.
_WAYS_OUT: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        "check user and password, and the server's pg_hba.conf",
    ),
    (asyncpg.InvalidCatalogNameError, "create the database, or name another one in dsn or database"),
    (asyncpg.TooManyConnectionsError, "lower max_size, or raise the server's max_connections"),
    (asyncpg.CannotConnectNowError, "the server is starting or stopping: try again in a moment"),
    (ConnectionRefusedError, "nobody listens there: start PostgreSQL, or correct dsn or host and port"),
    (TimeoutError, "the server does not answer: check the network and firewall, or raise connect_timeout"),
    (ssl.SSLError, "check sslmode in the dsn and the server's certificate"),
    (OSError, "check the host name and the network"),
)


def way_out(error: BaseException) -> str:
    """What to do about a failure to connect."""
    return next((words for kind, words in _WAYS_OUT if isinstance(error, kind)), "check the settings [postgres]")


def cannot_connect(name: str, address: Address, error: BaseException) -> ConnectionLost:
    """Return the error for a failed connection: address, user, cause and remedy, without the password."""
    why = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
    return ConnectionLost(f"{name}: cannot connect to {address}: {why}; {way_out(error)}")


class Opener:
    """Opens connections to one database.

    :param name: the resource, for people
    :param application: shown by the server in ``pg_stat_activity``
    """

    def __init__(self, settings: PostgresSettings, name: str, application: str) -> None:
        self.name = name
        self.address = settings.address()
        self._timeout = settings.connect_timeout
        self._arguments: dict[str, Any] = {
            **settings.connect_arguments(),
            "timeout": settings.connect_timeout,
            "command_timeout": settings.command_timeout or None,
            "server_settings": {"application_name": application, **settings.server_settings},
        }
        if not settings.statement_cache:
            self._arguments["statement_cache_size"] = 0

    async def __call__(self) -> RawConnection:
        """Open a connection.

        :raises ConnectionLost: the server can't be reached or does not let us in
        """
        connection: RawConnection = None
        try:
            connection = await asyncpg.connect(**self._arguments)
            # In binary form, so that COPY can write these columns too; msgspec.Raw passes what is encoded already.
            await connection.set_type_codec(
                "json", schema="pg_catalog", encoder=msgspec.json.encode, decoder=_decode, format="binary"
            )
            await connection.set_type_codec(
                "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
            )
        except (OSError, EOFError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if connection is not None:
                connection.terminate()
            raise cannot_connect(self.name, self.address, error) from error
        except BaseException:
            if connection is not None:
                connection.terminate()
            raise
        return connection


def _encode_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> Any:
    return _decode(data[1:])
