"""The table ``[ops]``."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec

from corten.secrets import Secret
from corten.settings import Duration, Size

SHORTEST_TOKEN = 16
"""Characters; what is shorter can be guessed."""


class OpsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the operations server listens, who may ask, and how much of it they may use."""

    host: str = "127.0.0.1"
    """The address to listen on. Other than loopback needs a token."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9100
    """0: any that is free."""
    token: Secret | None = None
    """Asked for in the header ``Authorization: Bearer …``; at least 16 characters."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that requests may be addressed to, besides ``localhost`` and the address that they came in on."""
    max_body: Size = 1024 * 1024
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Further ones are cut off."""
    request_timeout: Duration = 30.0
    """How long a page may take to answer, its request's body included."""
    header_timeout: Duration = 10.0
    """How long a client may take to send its request's head, and to read the reply."""

    def __post_init__(self) -> None:
        """Hold what belongs together.

        :raises ValueError: another address than loopback without a token; a token that is too short; a bad name
        """
        if self.token is None and not is_loopback(self.host):
            raise ValueError(
                f"host is {self.host}, which others can reach, and there is no token; "
                'expected ops.token, or host = "127.0.0.1"'
            )
        if self.token is not None and len(self.token.reveal()) < SHORTEST_TOKEN:
            raise ValueError(f"token is too short; expected at least {SHORTEST_TOKEN} characters")
        if any(not name or "*" in name or "/" in name for name in self.allowed_hosts):
            raise ValueError('allowed_hosts has a name that is none; expected plain names such as "ops.example.org"')
        if self.request_timeout <= 0 or self.header_timeout <= 0:
            raise ValueError("a timeout is not positive; expected more than 0 seconds")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
