"""A server as a child process: started on a free port, waited for, frozen, killed, restarted, ended by its id."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(true: Callable[[], bool], limit: float = 10.0, *, what: str = "the condition") -> None:
    """Poll until something is true.

    :raises TimeoutError: it was not within ``limit`` seconds
    """
    end = time.monotonic() + limit
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} was not true within {limit} s")
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """The direct children of a process (Linux)."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


class ServerProcess(ABC):
    """One server with its data in a temporary folder; a context manager that starts and ends it.

    A restart keeps folder and port, so what a client wrote before a kill can be looked for afterwards.
    """

    name = "server"

    def __init__(self, *, port: int | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"corten-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The server's command line, in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves requests now."""

    def user(self) -> str | None:
        """The system user to run as; None for the caller's."""
        return None

    @property
    def pid(self) -> int:
        """The main process.

        :raises RuntimeError: it was not started
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def start(self, limit: float = 30.0) -> Self:
        """Start it and wait until it answers."""
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=self.user(),
                group=self.user(),
                extra_groups=[] if self.user() else None,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C of a test run is for the tests, which then end it in order
            )
        process = self._process

        def up() -> bool:
            if process.poll() is not None:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise RuntimeError(f"{self.name} ended with status {process.returncode} at start:\n{tail}")
            return self.answers()

        wait_until(up, limit, what=f"{self.name} on port {self.port}")
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM, limit: float = 20.0) -> None:
        """Ask it to end and wait until it did; by force past the limit."""
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(how)
        try:
            self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL it with all its children."""
        if self._process is None:
            return
        family = [self._process.pid, *children(self._process.pid)]
        self._signal(family, signal.SIGKILL)
        self._process.wait(10)
        wait_until(lambda: not any(_alive(pid) for pid in family), what=f"the end of {self.name}")
        self._process = None
        self._frozen = []

    def freeze(self) -> None:
        """SIGSTOP it with all its children: connections stay open and nobody answers."""
        self._signal([self.pid], signal.SIGSTOP)
        self._frozen = [self.pid, *children(self.pid)]
        self._signal(self._frozen[1:], signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT what :meth:`freeze` stopped."""
        self._signal(reversed(self._frozen), signal.SIGCONT)
        self._frozen = []

    def restart(self) -> None:
        """End it (if it runs) and start it again with the same data on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def _signal(pids: Iterable[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
