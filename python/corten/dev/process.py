"""Starts a server for development and tests, waits until it answers, and ends it reliably."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import msgspec

from corten.dev import guard
from corten.errors import ResourceUnavailable

_TAIL = 20


class GuardedProcess(msgspec.Struct, frozen=True):
    """A server that was started and answers."""

    name: str
    pid: int
    host: str
    port: int
    log: Path


def free_port(host: str = "127.0.0.1") -> int:
    """Return a free TCP port; another process may take it before the caller does."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def guarded_process(
    name: str,
    command: Sequence[str | os.PathLike[str]],
    *,
    port: int,
    log: Path,
    host: str = "127.0.0.1",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 30.0,
    ready: Callable[[], Awaitable[bool]] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    grace: float = 5.0,
) -> AsyncGenerator[GuardedProcess, None]:
    """Run a server during the block; it also ends if this process dies.

    :param name: for people: ``PostgreSQL 18``
    :param port: the port that must accept connections
    :param log: the file that gets what the server prints, appended
    :param env: variables added to this process's own
    :param timeout: seconds until it must answer
    :param ready: polled once the port accepts connections, for servers that accept before they work
    :param stop_signal: the signal that ends the server; PostgreSQL's fast shutdown is ``SIGINT``
    :param grace: seconds between this signal and SIGKILL
    :raises ResourceUnavailable: the port is taken, or the server does not start, ends, or does not answer in time;
        with the end of its log
    """
    if await _accepts(host, port):
        # Otherwise somebody else's answer would be taken for the server's.
        raise ResourceUnavailable(f"{name} cannot listen on {host}:{port}: somebody else does; choose another port")
    began = _size(log)
    options = ["--log", str(log), "--signal", str(int(stop_signal)), "--grace", str(grace), "--"]
    process = await anyio.open_process(
        [sys.executable, "-I", "-S", guard.__file__, *options, *(os.fspath(each) for each in command)],
        stdin=-1,
        stdout=-1,
        stderr=None,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        # A signal to this program's group, such as the terminal's Ctrl-C, is for this program alone.
        start_new_session=True,
    )
    try:
        try:
            with anyio.fail_after(timeout):
                pid = await _pid_of(process)
                await _until(lambda: _accepts(host, port), process)
                if ready is not None:
                    await _until(ready, process)
        except _Ended:
            code = await process.wait()
            why = "cannot be started" if code == guard.NOT_STARTED else f"ended with exit code {code}"
            raise ResourceUnavailable(f"{name} {why}{_tail(log, began)}") from None
        except TimeoutError:
            raise ResourceUnavailable(
                f"{name} did not answer on {host}:{port} within {timeout:g} s{_tail(log, began)}"
            ) from None
        yield GuardedProcess(name, pid, host, port, log)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process, grace)


def _size(log: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.stat().st_size if log.exists() else 0


class _Ended(Exception):
    """The guard is gone, and the server with it."""


async def _pid_of(process: anyio.abc.Process) -> int:
    line = b""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    while not line.endswith(b"\n"):
        try:
            line += await process.stdout.receive()
        except anyio.EndOfStream:
            raise _Ended from None
    return int(line)


async def _until(holds: Callable[[], Awaitable[bool]], process: anyio.abc.Process) -> None:
    pause = 0.01
    while True:
        if process.returncode is not None:
            raise _Ended
        if await holds():
            return
        # Real time, not an App's clock: a server takes as long as it takes.
        await anyio.sleep(pause)
        pause = min(pause * 1.5, 0.2)


async def _accepts(host: str, port: int) -> bool:
    try:
        stream = await anyio.connect_tcp(host, port)
    except OSError:
        return False
    await stream.aclose()
    return True


async def _end(process: anyio.abc.Process, grace: float) -> None:
    if process.stdin is not None:
        await process.stdin.aclose()
    with anyio.move_on_after(grace + 5.0):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    if process.stdout is not None:
        await process.stdout.aclose()


def _tail(log: Path, began: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(began)
            lines = file.read().decode(errors="replace").splitlines()[-_TAIL:]
    except OSError:
        lines = []
    if not lines:
        return f"; it printed nothing to {log}"
    return "\n".join([f"; the end of {log}:", *(f"    {line}" for line in lines)])
