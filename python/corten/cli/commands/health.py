"""``corten health``: a running app's probe as an exit code, for containers and scripts."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from corten.app.settings.loading import SECRETS
from corten.cli.failure import Failure, reports_failures
from corten.cli.options import config_option, json_option
from corten.errors import SettingsError
from corten.secrets import Secret, redact_url
from corten.settings import Duration, Section, load, parse_duration

_PATHS = {"live": "/livez", "ready": "/readyz", "startup": "/startupz"}
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound
_LONGEST_ANSWER = 1 << 20


class OpsAddress(msgspec.Struct, frozen=True):
    """The part of ``[ops]`` that leads to its server."""

    host: str = "127.0.0.1"
    port: int = 9100
    token: Secret | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a probe was answered."""

    probe: str
    url: str
    up: bool
    status: int | None = None
    """The HTTP status; None without an answer."""
    message: str = ""
    body: Any = None


@click.command()
@click.option("--probe", type=click.Choice(list(_PATHS)), default="ready", show_default=True, help="What to ask.")
@click.option("--url", help="The ops server, such as http://127.0.0.1:9100. [default: from the settings [ops]]")
@click.option("--timeout", metavar="DURATION", default="2s", show_default=True, help="For the whole answer.")
@config_option
@json_option
@reports_failures
def health(probe: str, url: str | None, timeout: str, config: Path | None, as_json: bool) -> None:
    """Ask the ops server of a running app how it is.

    Exit code 0: up. 1: down, or nobody answers. 2: the question makes no sense.

    \b
    Examples:
      corten health                                      ready?
      corten health --probe live --timeout 500ms
      HEALTHCHECK --interval=30s CMD ["corten", "health", "--probe", "live"]
    """
    try:
        seconds = parse_duration(timeout)
    except ValueError as error:
        raise Failure(f"--timeout: {error}", 2) from None
    token = None
    if url is None:
        address = _settings(config)
        host = _ANYWHERE.get(address.host, address.host)
        url = f"http://{f'[{host}]' if ':' in host else host}:{address.port}"
        token = address.token
    answer = ask(probe, url.rstrip("/") + _PATHS[probe], token, seconds)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(answer), indent=2, ensure_ascii=False))
    else:
        click.echo(f"{probe}: {'up' if answer.up else 'down'}{f' ({answer.message})' if answer.message else ''}")
    raise SystemExit(0 if answer.up else 1)


def ask(probe: str, url: str, token: Secret | None, timeout: Duration) -> Answer:
    """GET a probe's page, without redirects and proxies: the question is about one process.

    :raises Failure: the address is no URL
    """
    shown = redact_url(url)
    parts = urlsplit(url)
    kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}.get(parts.scheme)
    if kind is None or not parts.hostname:
        raise Failure(f"--url {shown}: expected http://HOST:PORT", 2)
    headers = {"Accept": "application/json", "User-Agent": "corten-health"}
    if token:
        headers["Authorization"] = f"Bearer {token.reveal()}"
    try:
        connection = kind(parts.hostname, parts.port, timeout=timeout)
    except ValueError as error:
        raise Failure(f"--url {shown}: {error}", 2) from None
    try:
        connection.request("GET", parts.path, headers=headers)
        response = connection.getresponse()
        body = response.read(_LONGEST_ANSWER)
    except TimeoutError:
        return Answer(probe, shown, up=False, message=f"no answer from {shown} within {timeout:g} s")
    except (OSError, http.client.HTTPException) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Answer(probe, shown, up=False, message=f"no answer from {shown}: {words}")
    finally:
        connection.close()
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        document = None
    up = 200 <= response.status < 300
    return Answer(probe, shown, up, response.status, "" if up else _why(response.status, document), document)


def _why(status: int, document: Any) -> str:
    """Return the checks that are down, or the HTTP status of another answer."""
    try:
        report = msgspec.convert(document, _Report)
    except msgspec.ValidationError:
        return f"HTTP status {status}"
    checks = {name: _CheckReport(each) if isinstance(each, str) else each for name, each in report.checks.items()}
    down = [f"{name}: {check.message or check.status}" for name, check in checks.items() if check.status != "up"]
    return "; ".join(down) or f"HTTP status {status}"


class _CheckReport(msgspec.Struct):
    status: str = "up"
    message: str | None = None


class _Report(msgspec.Struct):
    checks: dict[str, _CheckReport | str]
    """By name; the probes' pages give the status alone."""


def _settings(config: Path | None) -> OpsAddress:
    """Load ``[ops]`` of the settings, ignoring all other sections."""
    file = config if config is not None else Path("corten.toml")
    try:
        settings = load(
            [Section("ops", OpsAddress)],
            file=file if config is not None or file.exists() else None,
            environ=os.environ,
            secrets=Path(SECRETS),
            ignore_unknown=True,
        )
    except SettingsError as error:
        raise Failure(f"the address of the ops server cannot be read: {error}", 2) from None
    address = settings.section("ops")["default"]
    assert isinstance(address, OpsAddress)  # noqa: S101 - for the type checker
    return address
