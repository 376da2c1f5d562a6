"""The command as a process: signals, exit codes, and servers that end with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

pytestmark = pytest.mark.services

SERVICE = """
import sys
from contextlib import asynccontextmanager
import msgspec
from corten import App
from corten.dev import free_port, guarded_process
from corten.hookspecs import hookimpl
from corten.plugins import DevService
from corten.secrets import Secret
from corten.settings import Section

class Server(msgspec.Struct):
    dsn: Secret | None = None

SLEEP = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
DEAF = "import time; time.sleep(60)"

class StorePlugin:
    @hookimpl
    def corten_settings(self):
        return [Section("store", Server, activated_by=("dsn",))]

    @hookimpl
    def corten_dev_services(self):
        @asynccontextmanager
        async def start(folder):
            port = free_port()
            program = DEAF if "deaf" in sys.argv[-1] else SLEEP
            command = [sys.executable, "-c", program, str(port)]
            async with guarded_process("Store", command, port=port, log=folder / "log") as process:
                (folder / "pid").write_text(str(process.pid))
                yield {"dsn": f"store://u:hunter2@127.0.0.1:{port}/"}
        return [DevService("Store 1.0", "store", start)]

app = App("demo", plugins=[StorePlugin], autoload=False)

@app.task
async def tell() -> None:
    print(app.environment, list(app.section("store")), flush=True)
    await app.clock.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


class Command:
    """A command under way."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from corten.cli import main; main()", *arguments],
            cwd=folder,
            env={**os.environ, "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


@pytest.fixture
def corten(folder: Path) -> Iterator:
    started: list[Command] = []

    def start(*arguments: str) -> Command:
        started.append(Command(folder, *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def until(holds, within: float = 10.0) -> bool:
    limit = monotonic() + within
    while not holds() and monotonic() < limit:
        sleep(0.02)
    return bool(holds())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_is_production_and_a_signal_ends_it_cleanly(corten, number: int) -> None:
    command = corten("run", "service:app")
    assert command.line() == "production []"
    code, errors = command.end(number)
    assert code == 0, errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_dev_starts_what_is_missing_and_ends_it_too(corten, folder: Path, number: int) -> None:
    command = corten("dev", "service:app")
    assert command.line() == "development ['default']"
    pid = int((folder / ".corten/dev/store/pid").read_text())
    assert is_alive(pid)
    code, errors = command.end(number)
    assert code == 0, errors
    assert not is_alive(pid)
    assert "Store 1.0" in errors
    assert 'store.dsn = "store://u:<secret>@127.0.0.1:' in errors
    assert "hunter2" not in errors
    assert (folder / ".corten/dev/.gitignore").exists()


def test_dev_leaves_alone_what_has_an_address(corten, folder: Path) -> None:
    command = corten("dev", "service:app", "--set", "store.dsn=store://mine/")
    assert command.line() == "development ['default']"
    code, _ = command.end(signal.SIGTERM)
    assert code == 0
    assert not (folder / ".corten").exists()


def test_servers_die_with_a_dev_that_is_killed(corten, folder: Path) -> None:
    command = corten("dev", "service:app")
    command.line()
    pid = int((folder / ".corten/dev/store/pid").read_text())
    command.end(signal.SIGKILL)
    assert until(lambda: not is_alive(pid))


def test_ctrl_c_while_servers_start_ends_all_with_130(corten, folder: Path) -> None:
    command = corten("dev", "service:app", "--set", "flags.deaf=true")
    log = folder / ".corten/dev/store/log"
    assert until(log.exists)
    code, errors = command.end(signal.SIGINT)
    assert code == 130, errors
    assert "Traceback" not in errors


def test_wrong_settings_end_run_and_dev_with_78_and_every_problem(corten, folder: Path) -> None:
    (folder / "corten.toml").write_text("environment = 'moon'\n[store]\nx = 1\n[logs]\nlevel = 'loud'\n")
    for name in ("run", "dev"):
        command = corten(name, "service:app")
        _, errors = command.process.communicate(timeout=30)
        assert command.process.returncode == 78, errors
        assert "store.x: unknown key" in errors
        assert "logs.level: wrong value" in errors
        assert "Traceback" not in errors


def test_a_missing_app_is_a_usage_error(corten) -> None:
    command = corten("run", "service:nothing")
    _, errors = command.process.communicate(timeout=30)
    assert command.process.returncode == 2
    assert errors == "corten: service has no 'nothing'; there is service:app\n"
