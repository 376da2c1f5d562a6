"""Ctrl-C at any moment: wherever an App is in its life, the first one ends it cleanly and says nothing alarming."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

PROGRAM = """
import os, signal, sys
from contextlib import asynccontextmanager
import anyio
from corten.app import App
from corten.hookspecs import hookimpl
from corten.plugins import Resource, Task
from corten.plugins.descriptions import Exporter

WHERE, BACKEND = sys.argv[1], sys.argv[2]

def here(moment):
    if moment == WHERE:
        print("interrupted", flush=True)
        os.kill(os.getpid(), signal.SIGINT)

class Pool: pass

class NosyPlugin:
    @hookimpl
    def corten_settings(self):
        here("corten_settings")
        return []

    @hookimpl
    def corten_resources(self, app):
        here("corten_resources")
        return [Resource(Pool, self.opened)]

    @asynccontextmanager
    async def opened(self, app):
        here("open")
        await anyio.sleep(0)
        try:
            yield Pool()
        finally:
            here("close")
            print("closed", flush=True)

    @hookimpl
    def corten_tasks(self, app):
        here("corten_tasks")
        stopping = anyio.Event()

        async def run():
            here("run")
            await stopping.wait()

        async def ready():
            await anyio.sleep(0)
            here("ready")

        async def stop():
            here("stop")
            stopping.set()

        return [Task("nosy", run, stop, ready=ready)]

app = App("interrupted", plugins=[NosyPlugin], autoload=False, config=None)

@app.task
async def ends():
    await anyio.sleep(0.2)
    here("running")
    app.stop()

app.run(backend=BACKEND)
print("end")
"""

MOMENTS = (
    "corten_settings",
    "corten_resources",
    "open",
    "corten_tasks",
    "run",
    "ready",
    "running",
    "stop",
    "close",
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_ends_it_cleanly(tmp_path: Path, moment: str, backend: str) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file), moment, backend], capture_output=True, text=True, timeout=30
    )
    lines = done.stdout.split()
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert lines[0] == "interrupted" or "closed" in lines
    assert lines[-1] == "end"
    if moment not in ("corten_settings", "corten_resources", "open"):
        assert "closed" in lines
