"""The server for development: keeps its data, needs its password, and ends with the program in whatever way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.servers.process import wait_until

from corten.secrets import Secret
from corten_postgres import Postgres, PostgresSettings
from corten_postgres.dev_service import dev_service, missing

pytestmark = [pytest.mark.anyio, pytest.mark.services]

PROGRAM = """
import sys, anyio
from pathlib import Path
from corten_postgres import Postgres, PostgresSettings
from corten_postgres.dev_service import dev_service
from corten.secrets import Secret

async def main():
    async with dev_service().start(Path(sys.argv[1])) as settings:
        async with Postgres.open(PostgresSettings(dsn=Secret(settings["dsn"]))) as postgres:
            await postgres.execute("create table if not exists runs (at timestamptz default now())")
            await postgres.execute("insert into runs default values")
            print(await postgres.fetch_value(int, "select count(*) from runs"), flush=True)
            await anyio.sleep_forever()

anyio.run(main)
"""


def server_pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user can reach; pytest's own are closed to others again by the next run of pytest."""
    with tempfile.TemporaryDirectory(prefix="corten-dev-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


async def test_its_data_stays_from_one_run_to_the_next(folder: Path) -> None:
    for run in (1, 2):
        async with dev_service().start(folder) as settings:
            async with Postgres.open(PostgresSettings(dsn=Secret(str(settings["dsn"])))) as postgres:
                await postgres.execute("create table if not exists runs (at timestamptz default now())")
                await postgres.execute("insert into runs default values")
                assert await postgres.fetch_value(int, "select count(*) from runs") == run
            pid = server_pid(folder)
        assert not alive(pid)


async def test_it_asks_for_the_password(folder: Path) -> None:
    async with dev_service().start(folder) as settings:
        dsn = str(settings["dsn"])
        password = dsn.split(":")[2].split("@", maxsplit=1)[0]
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(dsn.replace(password, "guess"))


def test_it_ends_with_a_killed_program_and_starts_again_with_its_data(folder: Path) -> None:
    for run in (1, 2, 3):
        program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True)
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == f"{run}\n"
            pid = server_pid(folder)
        finally:
            program.send_signal(signal.SIGKILL)
            program.wait(10)
            assert program.stdout is not None
            program.stdout.close()
        if run == 2:  # the third run begins while the second one's server is still ending
            continue
        wait_until(lambda pid=pid: not alive(pid), limit=15.0, what="the end of the server")  # type: ignore[misc]


def test_it_is_installed_here() -> None:
    assert missing() is None
