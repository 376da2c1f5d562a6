"""SIGTERM under load: not ready, no more connections, and no request that was accepted is aborted."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

PROGRAM = """
import sys
import anyio
from corten.app import App
from corten.asgi import serve

async def slow(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    await anyio.sleep(0.6)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"whole"})

app = App("drained", autoload=False, config=None, arguments={"shutdown.pre_drain": sys.argv[2]})
app.add(serve(slow, port=int(sys.argv[1])))
app.run()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, replies: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        while chunk := stream.recv(4096):
            received += chunk
        replies.append(received)


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def until(condition: object, limit: float = 15.0) -> None:
    end = time.monotonic() + limit
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)


@pytest.mark.parametrize("pre_drain", ["0s", "1s"])
def test_requests_under_way_are_answered_and_the_program_ends_well(tmp_path: Path, pre_drain: str) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(file), str(port), pre_drain], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: connects(port) or process.poll() is not None)
        replies: list[bytes] = []
        clients = [threading.Thread(target=ask, args=(port, replies)) for _ in range(30)]
        for client in clients:
            client.start()
        time.sleep(0.25)
        process.send_signal(signal.SIGTERM)
        if pre_drain != "0s":  # load balancers still send, and are served
            time.sleep(0.3)
            ask(port, replies)
        for client in clients:
            client.join(20)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
    assert process.returncode == 0, errors
    assert len(replies) == 30 + (pre_drain != "0s")
    assert all(reply.startswith(b"HTTP/1.1 200") and reply.endswith(b"whole") for reply in replies)
    assert not connects(port)
    phases = [phase for phase in ("not ready", "pre-drain", "intake", "work", "flush") if f"phase {phase}" in errors]
    assert phases == ["not ready", *(["pre-drain"] if pre_drain != "0s" else []), "intake", "work", "flush"]
