"""The section ``[postgres]`` of the settings."""

from __future__ import annotations

import getpass
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from corten.secrets import Secret
from corten.settings import Duration

Count = Annotated[int, msgspec.Meta(ge=1)]


class PostgresSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The address of a database, and the size of its pool.

    Either ``dsn`` or ``host`` gives the address; both at once are an error.
    """

    dsn: Secret | None = None
    """``postgresql://user:password@host:port/database?sslmode=require``."""
    host: str | None = None
    """Host name, address, or the folder of a Unix socket."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 5432
    user: str | None = None
    password: Secret | None = None
    database: str | None = None
    min_size: Annotated[int, msgspec.Meta(ge=0)] = 1
    """Connections opened at start."""
    max_size: Count = 10
    """The most connections that are open at once."""
    acquire_timeout: Duration = 5.0
    """How long a call waits for a connection before it fails with :class:`~corten.errors.PoolExhausted`."""
    connect_timeout: Duration = 5.0
    command_timeout: Duration = 30.0
    """The longest a statement may take; 0 for no limit. A call may say another by ``timeout=``."""
    recycle: Duration = 3600.0
    """The age at which a connection is replaced when it is next needed; 0 for never."""
    pre_ping: Duration = 30.0
    """Idle time after which a connection is pinged before it is lent; 0 for always."""
    server_settings: dict[str, str] = {}
    """Parameters of each connection: ``{search_path = "app", jit = "off"}``."""
    statement_cache: bool = True
    """Off for pgbouncer in its transaction and statement modes, which mix connections up between statements."""
    dead_letters: bool | None = None
    """Whether this database keeps the App's dead letters; by default only the default instance does."""
    max_dead_letters: Count = 1_000_000
    """How many dead letters may wait before the store refuses more."""

    def __post_init__(self) -> None:
        if self.dsn is not None and self.host is not None:
            raise ValueError("dsn and host are both set; one of them says where the database is")
        if self.min_size > self.max_size:
            raise ValueError(f"min_size ({self.min_size}) is more than max_size ({self.max_size})")

    def connect_arguments(self) -> dict[str, Any]:
        """The address as arguments of :func:`asyncpg.connect`."""
        if self.dsn is not None:
            return {"dsn": self.dsn.reveal()}
        password = None if self.password is None else self.password.reveal()
        return {
            "host": self.host, "port": self.port, "user": self.user,
            "password": password, "database": self.database,
        }  # fmt: skip

    def address(self) -> Address:
        """Where the database is, for people: never with a password."""
        if self.dsn is None:
            user = self.user or getpass.getuser()
            return Address(f"{self.host}:{self.port}", user, self.database or user)
        return Address.of(self.dsn.reveal())


class Address(msgspec.Struct, frozen=True):
    """The address of a database, with the user."""

    server: str
    """``host:port``."""
    user: str
    database: str

    @classmethod
    def of(cls, dsn: str) -> Address:
        """Read a connection string; unreadable parts become ``?``."""
        try:
            parts = urlsplit(dsn)
            query = parse_qs(parts.query)
            netloc = parts.netloc.rpartition("@")[2]
            user = unquote(parts.username or "") or query.get("user", [""])[0]
        except ValueError:
            return cls("?", "?", "?")
        if "host" in query:
            hosts = [f"{unquote(host)}:{query.get('port', ['5432'])[0]}" for host in query["host"][0].split(",")]
        else:
            hosts = [host if host.rpartition("]")[2].count(":") else f"{host}:5432" for host in netloc.split(",")]
        user = user or "?"
        return cls(",".join(hosts), user, unquote(parts.path.lstrip("/")) or query.get("dbname", [user])[0])

    def __str__(self) -> str:
        return f"{self.server}, database {self.database!r}, user {self.user!r}"
