"""Servers are waited for, and never outlive the program that started them."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from corten.dev import free_port, guarded_process
from corten.errors import ResourceUnavailable

pytestmark = pytest.mark.services

SERVER = """
import signal, socket, sys, time
print("starting", flush=True)
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    file = tmp_path / "server.py"
    file.write_text(SERVER)
    return file


def is_alive(pid: int) -> bool:
    # A zombie has ended: only its parent has not looked yet.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ended(pid: int, within: float = 10.0) -> bool:
    limit = monotonic() + within
    while is_alive(pid) and monotonic() < limit:
        sleep(0.02)
    return not is_alive(pid)


@pytest.mark.anyio
async def test_it_answers_inside_the_block_and_is_gone_after(server: Path, tmp_path: Path) -> None:
    port = free_port()
    async with guarded_process("it", [sys.executable, server, str(port)], port=port, log=tmp_path / "log") as process:
        assert is_alive(process.pid)
        assert (process.host, process.port) == ("127.0.0.1", port)
    assert not is_alive(process.pid)
    assert (tmp_path / "log").read_text() == "starting\n"


@pytest.mark.anyio
async def test_one_that_ignores_the_signal_is_killed(server: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, server, str(port), "deaf"]
    async with guarded_process("it", command, port=port, log=tmp_path / "log", grace=0.1) as process:
        pass
    assert not is_alive(process.pid)


@pytest.mark.anyio
async def test_one_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no space left'); sys.exit(3)"]
    with pytest.raises(
        ResourceUnavailable, match=r"the thing ended with exit code 3; the end of .*\n    no space left"
    ):
        async with guarded_process("the thing", command, port=free_port(), log=tmp_path / "log"):
            raise AssertionError("never entered")


@pytest.mark.anyio
async def test_somebody_elses_port_is_not_taken_for_the_servers(server: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ResourceUnavailable, match=rf"it cannot listen on 127.0.0.1:{port}: somebody else does"):
            async with guarded_process("it", [sys.executable, server, str(port)], port=port, log=tmp_path / "log"):
                raise AssertionError("never entered")


@pytest.mark.anyio
async def test_one_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ResourceUnavailable, match="cannot be started"):
        async with guarded_process("it", ["/no/such/server"], port=free_port(), log=tmp_path / "log"):
            raise AssertionError("never entered")


@pytest.mark.anyio
async def test_one_that_never_answers_is_ended_and_reported(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    port = free_port()
    with pytest.raises(ResourceUnavailable, match=rf"did not answer on 127.0.0.1:{port} within 1 s"):
        async with guarded_process("it", [sys.executable, "-c", program], port=port, log=tmp_path / "log", timeout=1):
            raise AssertionError("never entered")
    assert not is_alive(int(file.read_text()))


PROGRAM = """
import anyio, sys
from pathlib import Path
from corten.dev import guarded_process

async def main() -> None:
    port = int(sys.argv[2])
    command = [sys.executable, sys.argv[1], str(port)]
    async with guarded_process("it", command, port=port, log=Path(sys.argv[3])) as process:
        print(process.pid, flush=True)
        await anyio.sleep(60)

anyio.run(main)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("who", ["program", "guard"])
def test_the_server_dies_when_the_program_or_its_guard_is_killed(server: Path, tmp_path: Path, who: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server, str(free_port()), tmp_path / "log"], stdout=subprocess.PIPE
    )
    try:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        guard = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert is_alive(pid)
        os.kill(program.pid if who == "program" else guard, signal.SIGKILL)
        assert ended(pid)
    finally:
        program.kill()
        program.communicate()
