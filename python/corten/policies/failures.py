"""Predicates of errors: whether another attempt may help, and whether the server is down.

They read attributes of the errors of common clients (httpx, aiohttp, requests, urllib; smtplib, aiosmtplib), without
importing any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of requests that may succeed later (RFC 9110; 425: RFC 8470; 429: RFC 6585)."""

_LOST: Final = frozenset({"httpx.TransportError", "aiohttp.ClientConnectionError", "aiohttp.ClientPayloadError"})
"""Errors of a connection that are no `OSError`."""


def http_may_pass(error: BaseException) -> bool:
    """Return whether an HTTP request may succeed later, by its status or type of error."""
    status = _status(error)
    return _may_pass(error) or bool(_LOST & set(_names(error))) if status is None else status in _PASSING


def http_is_down(error: BaseException) -> bool:
    """Return whether the HTTP server is down: errors that may pass, and statuses from 500 on."""
    status = _status(error)
    return http_may_pass(error) or (status is not None and status >= 500)


def mail_may_pass(error: BaseException) -> bool:
    """Return whether a mail may be accepted later: replies 4yz (RFC 5321), or by type."""
    codes = _mail_codes(error)
    return all(400 <= code < 500 for code in codes) if codes else _may_pass(error)


def mail_is_down(error: BaseException) -> bool:
    """Return whether the mail server is down, or refuses the sender (530 to 538: RFC 4954)."""
    return mail_may_pass(error) or any(530 <= code <= 538 for code in _mail_codes(error))


def _may_pass(error: BaseException) -> bool:
    said = getattr(error, "retryable", None)
    return bool(said) if said is not None else isinstance(error, OSError | TimeoutError)


def _names(error: BaseException) -> Iterator[str]:
    return (f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    for holder, name in (
        (response, "status_code"),
        (response, "status"),
        (error, "status_code"),
        (error, "status"),
        (error, "code"),
    ):
        status = getattr(holder, name, None)
        if isinstance(status, int) and 100 <= status <= 599:
            return status
    return None


def _mail_codes(error: BaseException) -> list[int]:
    """Return the reply codes: one for each refused recipient, or the server's."""
    recipients = getattr(error, "recipients", None)
    if isinstance(recipients, Mapping):
        replies = cast("Mapping[object, Any]", recipients).values()
        return [reply[0] for reply in replies if isinstance(reply, tuple) and reply and isinstance(reply[0], int)]
    for name in ("smtp_code", "code"):
        code = getattr(error, name, None)
        if isinstance(code, int) and 400 <= code <= 599:
            return [code]
    return []
