"""Server addresses found in the settings, and a check whether a server answers."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from corten.secrets import Secret
from corten.settings import Settings

_FIELDS: Final = frozenset(
    "dsn url urls uri endpoint address addresses bootstrap_servers servers brokers hosts".split()  # noqa: SIM905
)
_PORTS: Final = {
    "postgres": 5432, "postgresql": 5432, "redis": 6379, "rediss": 6379, "valkey": 6379, "amqp": 5672, "amqps": 5671,
    "kafka": 9092, "http": 80, "https": 443, "grpc": 4317,
}  # fmt: skip
_LISTENING: Final = ("ops", "serve")
_PAIR: Final = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)")


class Address(msgspec.Struct, frozen=True):
    """A server that a setting leads to."""

    path: str
    """The setting: ``postgres.dsn``."""
    host: str
    """A name or address; a path for Unix sockets."""
    port: int
    """0 for Unix sockets."""
    required: bool = True
    """Whether the App needs it to start."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


def listening(settings: Settings, sections: list[str]) -> Iterator[Address]:
    """Where plugins of the App will listen."""
    for name in sections:
        if name in _LISTENING:
            for instance, struct in settings.section(name).items():
                host, port = getattr(struct, "host", None), getattr(struct, "port", None)
                if isinstance(port, int) and port:
                    path = name if instance == "default" else f"{name}.{instance}"
                    yield Address(f"{path}.port", host if isinstance(host, str) else "127.0.0.1", port)


def servers(settings: Settings, sections: list[str]) -> Iterator[Address]:
    """Where plugins of the App will connect to."""
    for name in sections:
        if name in _LISTENING:
            continue
        for instance, struct in settings.section(name).items():
            path = name if instance == "default" else f"{name}.{instance}"
            # A section that says it can do without its server is believed; spans and metrics are never worth a stop.
            required = bool(getattr(struct, "required", name not in ("redis", "tracing")))
            for field, host, port in _addresses(name, struct):
                yield Address(f"{path}.{field}", host, port, required)


def _addresses(section: str, struct: Any) -> Iterator[tuple[str, str, int]]:
    found = False
    for field in struct.__struct_fields__:
        values: Any = getattr(struct, field)
        several = cast("list[Any]", values) if isinstance(values, (list, tuple)) else [values]
        for value in several if field in _FIELDS else ():
            text = value.reveal() if isinstance(value, Secret) else value
            for host, port in parse_addresses(text, _PORTS.get(section, 0)) if isinstance(text, str) else ():
                found = True
                yield field, host, port
    own_host, own_port = getattr(struct, "host", None), getattr(struct, "port", None)
    if not found and isinstance(own_host, str) and own_host and isinstance(own_port, int):
        yield "host", own_host, own_port


def parse_addresses(text: str, default_port: int = 0) -> Iterator[tuple[str, int]]:
    """Return hosts and ports of a URL, of ``a:1,b:2``, or of libpq's ``host=… port=…``."""
    if "://" in text:
        scheme, _, rest = text.partition("://")
        port = _PORTS.get(scheme.partition("+")[0], default_port)
        if scheme == "unix":
            yield rest.partition("?")[0], 0
            return
        try:
            parts = urlsplit(text)
            query = parse_qs(parts.query)
        except ValueError:
            return
        hosts = parts.netloc.rpartition("@")[2] or ",".join(query.get("host", []))
        yield from _host_list(hosts, port)
    elif "=" in text:
        pairs = {key: value.strip("'") for key, value in _PAIR.findall(text)}
        if "host" in pairs:
            ports = pairs.get("port", "")
            yield from _host_list(pairs["host"], int(ports) if ports.isdecimal() else default_port)
    else:
        yield from _host_list(text, default_port)


def _host_list(text: str, default_port: int) -> Iterator[tuple[str, int]]:
    for each in filter(None, (part.strip() for part in text.split(","))):
        if each.startswith(("/", "%2F")):
            yield each.replace("%2F", "/"), 0
            continue
        host, colon, port = each.rpartition(":")
        if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
            yield host.strip("[]") or "127.0.0.1", int(port)
        elif default_port:
            yield each.strip("[]"), default_port


def unreachable(addresses: list[Address], timeout: float) -> dict[Address, str]:
    """Return addresses that accept no connection in time, with the reason; tries all at once."""
    if not addresses:
        return {}
    with ThreadPoolExecutor(max_workers=min(16, len(addresses))) as pool:
        answers = list(pool.map(_why_unreachable, addresses, [timeout] * len(addresses)))
    return {address: why for address, why in zip(addresses, answers, strict=True) if why}


def _why_unreachable(address: Address, timeout: float) -> str:
    try:
        if not address.port:
            return _why_no_socket(address.host, timeout)
        with socket.create_connection((address.host, address.port), timeout):
            return ""
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return error.strerror or str(error)


def _why_no_socket(path: str, timeout: float) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(timeout)
        # libpq names the folder of its sockets.
        stream.connect(path if not path.endswith("postgresql") else f"{path}/.s.PGSQL.5432")
    return ""


def why_not_free(address: Address) -> str:
    """Why one cannot listen there; empty where one can."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # As servers do: what has ended lately, and lingers, is no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, address.port))
            listener.listen()
        except OSError as error:
            return error.strerror or str(error)
    return ""
