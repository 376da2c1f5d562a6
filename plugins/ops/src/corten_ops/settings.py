"""The table ``[ops]``."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec

from corten.secrets import Secret
from corten.settings import Duration, Size

SHORTEST_TOKEN = 16
"""Characters; shorter tokens can be guessed."""


class OpsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Address, access and limits of the operations server."""

    host: str = "127.0.0.1"
    """The address to listen on. Addresses other than loopback need a token."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9100
    """0: any free port."""
    token: Secret | None = None
    """The token for the header ``Authorization: Bearer …``; at least 16 characters."""
    allowed_hosts: tuple[str, ...] = ()
    """Names in the Host header, besides ``localhost`` and the own address."""
    max_body: Size = 1024 * 1024
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 64
    """The most connections; further ones are cut off."""
    request_timeout: Duration = 30.0
    """Time of a page to answer, with reading the request's body."""
    header_timeout: Duration = 10.0
    """Time of a client to send a head, and to read a reply."""

    def __post_init__(self) -> None:
        """Check the settings.

        :raises ValueError: a public address without a token, a short token, a wrong name or timeout
        """
        if self.token is None and not is_loopback(self.host):
            raise ValueError(
                f"host is {self.host}, which other machines can reach, and there is no token; "
                'expected ops.token, or host = "127.0.0.1"'
            )
        if self.token is not None and len(self.token.reveal()) < SHORTEST_TOKEN:
            raise ValueError(f"token is too short; expected at least {SHORTEST_TOKEN} characters")
        if any(not name or "*" in name or "/" in name for name in self.allowed_hosts):
            raise ValueError('allowed_hosts has a wrong name; expected names such as "ops.example.org"')
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
