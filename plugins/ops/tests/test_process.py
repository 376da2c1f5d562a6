"""The server in a process of its own: exit codes, a shutdown seen from outside, and a real Prometheus that reads it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers.process import ServerProcess, free_port, wait_until

pytestmark = [pytest.mark.services]

TOKEN = "canary-0123456789abcdef"

PROGRAM = """
import sys, json
from corten.app import App
from corten_health import HealthPlugin
from corten_ops import OpsPlugin
App("served", plugins=[OpsPlugin, HealthPlugin], autoload=False, config=None, arguments=json.loads(sys.argv[1])).run()
"""


@contextmanager
def program(**arguments: object) -> Iterator[subprocess.Popen[str]]:
    given = {name.replace("__", "."): value for name, value in {"health__checks": [], **arguments}.items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CORTEN_")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(given)], stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(port: int, page: str, token: str | None = None) -> tuple[int, str]:
    """Status and body; 0 where nobody answers."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{page}", headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_a_port_in_use_exits_with_69_and_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with program(ops__port=port) as process:
            _, words = process.communicate(timeout=30)
    assert process.returncode == 69
    assert f"port {port} of 127.0.0.1 is in use: stop what listens there, or choose another port" in words
    assert "Traceback" not in words


def test_another_address_without_a_token_exits_with_78_and_says_what_to_do() -> None:
    with program(ops__host="0.0.0.0", ops__port=free_port()) as process:
        _, words = process.communicate(timeout=30)
    assert process.returncode == 78
    assert "there is no token" in words
    assert 'expected ops.token, or host = "127.0.0.1"' in words
    assert "Traceback" not in words


def test_from_the_signal_to_the_end_it_is_alive_and_not_ready() -> None:
    port = free_port()
    with program(ops__port=port, shutdown__pre_drain=1.0) as process:
        wait_until(lambda: ask(port, "/readyz")[0] == 200, 30, what="readiness")
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(port, "/readyz")[0] == 503, 10, what="the end of readiness")
        assert ask(port, "/livez")[0] == 200
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert ask(port, "/livez")[0] == 0


class Prometheus(ServerProcess):
    """A Prometheus that reads one operations server, with a token."""

    name = "prometheus"

    def __init__(self, target: int) -> None:
        super().__init__()
        (self.folder / "token").write_text(TOKEN)
        self.configuration = self.folder / "prometheus.yml"
        scrape = {
            "job_name": "served",
            "scrape_interval": "1s",
            "authorization": {"credentials_file": str(self.folder / "token")},
            "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
        }
        self.configuration.write_text(json.dumps({"scrape_configs": [scrape]}))  # JSON is YAML

    def command(self) -> Sequence[str]:
        return [
            "prometheus", f"--config.file={self.configuration}", f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.host}:{self.port}",
        ]  # fmt: skip

    def answers(self) -> bool:
        return ask(self.port, "/-/ready")[0] == 200

    def query(self, expression: str) -> list[dict[str, object]]:
        """The result of an instant query."""
        status, body = ask(self.port, f"/api/v1/query?query={expression}")
        return json.loads(body)["data"]["result"] if status == 200 else []


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no Prometheus: apt-get install prometheus")
def test_a_real_prometheus_reads_it_with_its_token() -> None:
    port = free_port()
    with program(ops__port=port, ops__token=TOKEN), Prometheus(port) as prometheus:
        wait_until(lambda: bool(prometheus.query("corten_ops_requests_total")), 30, what="the first scrape")
        assert prometheus.query("up")[0]["value"][1] == "1"  # type: ignore[index]
        assert float(prometheus.query("corten_process_cpu_seconds_total")[0]["value"][1]) > 0  # type: ignore[index]
        assert ask(port, "/metrics")[0] == 401
        assert TOKEN not in Path(prometheus.folder / "server.log").read_text()
