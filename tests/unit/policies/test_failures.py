"""What errors of common clients say, read without importing the clients."""

from __future__ import annotations

import smtplib
import urllib.error
from email.message import Message
from types import SimpleNamespace

import httpx
import pytest

from corten.errors import DeadlineExceeded, MessageError, ResourceUnavailable
from corten.policies.failures import http_is_down, http_may_pass, mail_is_down, mail_may_pass


def from_httpx(status: int) -> Exception:
    request = httpx.Request("GET", "http://example.org")
    return httpx.HTTPStatusError("x", request=request, response=httpx.Response(status, request=request))


def from_urllib(status: int) -> Exception:
    return urllib.error.HTTPError("http://example.org", status, "x", Message(), None)


class AiohttpResponseError(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class RequestsHTTPError(OSError):
    def __init__(self, status: int) -> None:
        super().__init__("x")
        self.response = SimpleNamespace(status_code=status)


CLIENTS = (from_httpx, from_urllib, AiohttpResponseError, RequestsHTTPError)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("status", "passes", "down"),
    [(503, True, True), (429, True, True), (408, True, True), (501, False, True), (404, False, False)],
)
def test_the_status_decides_where_there_is_one(client: type[Exception], status: int, passes: bool, down: bool) -> None:
    error = client(status)
    assert (http_may_pass(error), http_is_down(error)) == (passes, down)


def test_a_lost_connection_may_pass_also_where_it_is_no_os_error() -> None:
    for error in (httpx.ConnectError("x"), httpx.ReadTimeout("x"), ConnectionResetError(), TimeoutError()):
        assert http_may_pass(error)
        assert http_is_down(error)
    aiohttp = type("ServerDisconnectedError", (type("ClientConnectionError", (Exception,), {}),), {})
    aiohttp.__mro__[1].__module__ = "aiohttp.client_exceptions"
    assert http_may_pass(aiohttp())


def test_what_an_error_says_of_itself_holds() -> None:
    for judge in (http_may_pass, http_is_down, mail_may_pass, mail_is_down):
        assert judge(ResourceUnavailable("x"))
        assert judge(DeadlineExceeded("x", 1.0))
        assert not judge(MessageError("x"))


@pytest.mark.parametrize("error", [ValueError("x"), httpx.InvalidURL("x"), KeyError("code")])
def test_anything_else_says_nothing_of_the_other_side(error: Exception) -> None:
    for judge in (http_may_pass, http_is_down, mail_may_pass, mail_is_down):
        assert not judge(error)


@pytest.mark.parametrize(
    ("error", "passes", "down"),
    [
        (smtplib.SMTPServerDisconnected("x"), True, True),
        (smtplib.SMTPDataError(451, b"later"), True, True),
        (smtplib.SMTPDataError(554, b"no"), False, False),
        (smtplib.SMTPAuthenticationError(535, b"who?"), False, True),
        (smtplib.SMTPRecipientsRefused({"a": (450, b"greylisted"), "b": (451, b"later")}), True, True),
        (smtplib.SMTPRecipientsRefused({"a": (450, b"greylisted"), "b": (550, b"unknown")}), False, False),
        (ConnectionRefusedError(), True, True),
    ],
)
def test_the_reply_of_a_mail_server_decides(error: Exception, passes: bool, down: bool) -> None:
    assert (mail_may_pass(error), mail_is_down(error)) == (passes, down)
