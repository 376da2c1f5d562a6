"""The section ``[redis]`` of the settings."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from corten.secrets import Secret
from corten.settings import Duration

SCHEMES = ("redis://", "rediss://", "unix://")


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The address of a Redis or Valkey server, and how to live without it."""

    url: Secret | None = None
    """``redis://user:password@host:6379/0``, ``rediss://`` for TLS, ``unix:///path/to/socket``."""
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 50
    """The most connections that are open at once."""
    acquire_timeout: Duration = 1.0
    """How long a call waits for a connection before it fails with :class:`~corten.errors.PoolExhausted`."""
    connect_timeout: Duration = 1.0
    timeout: Duration = 2.0
    """The longest a command may take."""
    retry_interval: Duration = 1.0
    """While the server is away: the time from one attempt to reach it to the next. Calls fail at once meanwhile."""
    prefix: str = ""
    """Put before each key of the helpers and of the cache tier: ``savings:``."""
    required: bool = False
    """Whether the App refuses to start without the server, and is not ready while it is away; otherwise it degrades."""
    tier: bool | None = None
    """Whether this server holds caches with ``shared=True``; by default only the default instance does."""
    limits: bool | None = None
    """Whether this server holds limits with ``shared=True``; by default only the default instance does."""

    def __post_init__(self) -> None:
        if self.url is not None and not self.url.reveal().startswith(SCHEMES):
            raise ValueError(f"url must begin with one of {', '.join(SCHEMES)}")

    def address(self) -> str:
        """Where the server is, for people: never with a password."""
        if self.url is None:
            return "localhost:6379"
        try:
            parts = urlsplit(self.url.reveal())
            if parts.scheme == "unix":
                return parts.path
            return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
        except ValueError:
            return "?"
