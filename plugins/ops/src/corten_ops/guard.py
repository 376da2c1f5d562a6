"""Checks before every page: host names, token, cross-site requests, size of bodies.

The host name comes first: a request to a foreign host name does not even learn whether there is a token.
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
"""Default headers of every reply (OWASP ASVS 5.0, 3.4)."""


_LINGER = 256 * 1024
"""Bytes of a too large body that are read and dropped, so that its sender can read the reply."""


class Guard:
    """ASGI middleware that refuses forbidden requests.

    :param app: answers allowed requests
    :param token: required of all requests, if any
    :param allowed_hosts: names besides ``localhost`` and the connection's own address
    :param max_body: the most bytes of a request's body
    :param finished: called after each reply with the matched path, or "", and the status
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
        """Refuse a request, or pass it on."""
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
                # HTML forms and simple cross-site requests cannot send this type
                return 415, "expected Content-Type: application/json"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._max_body:
            return 413, f"the body is larger than {self._max_body} bytes"
        return None

    def _is_ours(self, host: str, scope: Scope) -> bool:
        """Whether a Host header names this server.

        Only names can be rebound to another address, so the connection's own address is always allowed.
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
        # of digests, so that the time reveals neither the token's length nor its first difference
        same = hmac.compare_digest(_digest(token.strip().encode("utf-8", "surrogateescape")), self._digest)
        return scheme.lower() == "bearer" and same

    @staticmethod
    def _one(headers: Headers, name: str) -> str | None:
        """Return the value of a single header; two headers may be read differently by two readers."""
        values = headers.getlist(name)
        return values[0] if len(values) == 1 else None


class BodyTooLarge(Exception):
    """A body exceeded its limit while a page read it."""


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _is_same_site(headers: Headers, host: str) -> bool:
    """Whether the request is from this site, or not from a browser (Fetch Metadata, W3C)."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _with_headers(given: object) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = list(given)  # type: ignore[call-overload]
    names = {name.lower() for name, _ in headers}
    return headers + [(name, value) for name, value in _HEADERS if name not in names]


async def _discard(receive: Receive) -> None:
    """Read the rest of a body up to a bound, because closing on unread data loses the reply."""
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
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
