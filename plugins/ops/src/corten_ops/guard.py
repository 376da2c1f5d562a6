"""What stands before every page: host names, token, cross-site requests, size of bodies, headers of replies.

The order is that of what can be decided with the least: a request to a foreign host name learns nothing, not even
whether there is a token.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from corten.secrets import Secret

Finished = Callable[[str, int], object]

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""On every reply that does not say otherwise (OWASP ASVS 5.0, 3.4)."""


_LINGER = 256 * 1024
"""Bytes of a body too large that are read, and thrown away, so that its sender can read the reply."""


class Guard:
    """ASGI middleware that lets through what may be answered.

    :param app: what answers
    :param token: asked of everybody where there is one
    :param allowed_hosts: names besides ``localhost`` and the address that a connection came in on
    :param max_body: bytes of a request's body
    :param finished: told of each reply: the path that was matched, empty where none was, and the status
    """

    def __init__(
        self, app: ASGIApp, *, token: Secret | None, allowed_hosts: tuple[str, ...], max_body: int, finished: Finished
    ) -> None:
        self._app = app
        self._digest = None if token is None else _digest(token.reveal_bytes())
        self._hosts = frozenset(name.lower() for name in (*allowed_hosts, "localhost"))
        self._max_body = max_body
        self._finished = finished

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            raise NotImplementedError("the operations server speaks HTTP only")
        status = 0

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _with_headers(message.get("headers", ()))}
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                if refusal[0] == 413:
                    await _discard(receive)
                await _refuse(reply, *refusal)
            else:
                await self._pass_on(scope, receive, reply)
        finally:
            self._finished(scope.get("matched", ""), status)

    async def _pass_on(self, scope: Scope, receive: Receive, reply: Send) -> None:
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body:
                if message.get("more_body", False):
                    await _discard(receive)
                raise BodyTooLarge
            return message

        await self._app(scope, bounded, reply)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = self._one(headers, "host")
        if host is None or not self._is_ours(host, scope):
            return 421, "not a name of this server; ops.allowed_hosts lists them"
        if self._digest is not None and not self._is_authorized(headers):
            return 401, "needs the header Authorization: Bearer TOKEN"
        if scope["method"] not in ("GET", "HEAD"):
            if not _is_same_site(headers, host):
                return 403, "requests from other sites change nothing here"
            if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                # no HTML form and no simple cross-site request can send this type
                return 415, "expected Content-Type: application/json"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._max_body:
            return 413, f"the body is larger than {self._max_body} bytes"
        return None

    def _is_ours(self, host: str, scope: Scope) -> bool:
        """Whether a Host header names this server.

        Only names can be rebound to another address, so the address that the connection came in on is always ours.
        """
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
            if any(character in host for character in "/@?# ") or not name:
                return False
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name) == ipaddress.ip_address((scope.get("server") or ("",))[0])
        except ValueError:
            return False

    def _is_authorized(self, headers: Headers) -> bool:
        given = self._one(headers, "authorization") or ""
        scheme, _, token = given.partition(" ")
        assert self._digest is not None  # noqa: S101 - for the type checker
        # digests, so that neither the token's length nor where it differs shows in the time that this takes
        same = hmac.compare_digest(_digest(token.strip().encode("utf-8", "surrogateescape")), self._digest)
        return scheme.lower() == "bearer" and same

    @staticmethod
    def _one(headers: Headers, name: str) -> str | None:
        """The header's value where it is there once; two are an attempt to be read differently by two readers."""
        values = headers.getlist(name)
        return values[0] if len(values) == 1 else None


class BodyTooLarge(Exception):
    """More of a body came than is allowed; raised where a page reads it."""


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _is_same_site(headers: Headers, host: str) -> bool:
    """Whether a browser says that a page of ours asked; what is no browser says nothing (Fetch Metadata, W3C)."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _with_headers(given: object) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = list(given)  # type: ignore[call-overload]
    names = {name.lower() for name, _ in headers}
    return headers + [(name, value) for name, value in _HEADERS if name not in names]


async def _discard(receive: Receive) -> None:
    """Read what is left of a body, up to a bound: a connection closed on unread data loses the reply with it."""
    left = _LINGER
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return


async def _refuse(send: Send, status: int, words: str) -> None:
    body = msgspec.json.encode({"error": words})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="ops"'))
    if status == 413:
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
