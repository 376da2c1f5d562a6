"""The flights example, killed and started again: nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.process import wait_until

from corten.dev import free_port

DEMO = Path(__file__).parents[2] / "examples" / "flights" / "demo.py"
COUNT = 60_000
INCOMPLETE = 843
"""How many of the first flights have no departure or no arrival, as the data set has it."""

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(240)]


class Demo:
    """One run of the demo in a process of its own."""

    def __init__(self, folder: Path, *options: str, environ: Mapping[str, str] | None = None) -> None:
        self.api, self.ops = free_port(), free_port()
        addresses = {"CORTEN_APP__PORT": str(self.api), "CORTEN_OPS__PORT": str(self.ops)}
        self.output = folder / f"output-{self.api}"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, DEMO, "--folder", folder / "dev", "--flights", str(COUNT), *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **addresses, **(environ or {})},
            )

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def handled(self) -> int:
        return max(map(int, re.findall(r"^handled=(\d+)", self.text(), re.MULTILINE)), default=0)

    def wait_for(self, handled: int) -> None:
        """Wait until so many flights are stored or dead-lettered."""

        def there() -> bool:
            assert self.process.poll() is None, self.text()
            return self.handled() >= handled

        wait_until(there, 120)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)

    def totals(self) -> tuple[int, ...]:
        """Wait for the end, and read the totals."""
        assert self.process.wait(200) == 0, self.text()
        found = re.search(r"^stored=(\d+) dead_lettered=(\d+) input=(\d+)", self.text(), re.MULTILINE)
        assert found, self.text()
        return tuple(map(int, found.groups()))

    def get(self, path: str, port: int | None = None) -> tuple[int, object]:
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.api}{path}")
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, json.loads(reply.read())


EXACT = (COUNT - INCOMPLETE, INCOMPLETE, COUNT)


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


def test_on_the_embedded_servers_a_killed_run_is_finished_by_the_next_one(tmp_path: Path) -> None:
    killed = Demo(tmp_path, "--once")
    killed.wait_for(COUNT // 4)
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL

    again = Demo(tmp_path, "--once")

    assert again.totals() == EXACT
    assert "going on after a run that was cut off" in again.text()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_on_real_servers_a_killed_run_is_finished_by_the_next_one(
    tmp_path: Path, kafka: KafkaServer, share: float
) -> None:
    with PostgresServer() as postgres:
        environ = {
            "CORTEN_POSTGRES__DSN": postgres.dsn(),
            "CORTEN_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap,
        }
        killed = Demo(tmp_path, "--once", environ=environ)
        killed.wait_for(max(1, int(COUNT * share)))
        killed.end(signal.SIGKILL)

        assert Demo(tmp_path, "--once", environ=environ).totals() == EXACT


def test_with_five_percent_of_the_calls_failing_the_totals_are_exact(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--once", "--chaos")

    assert demo.totals() == EXACT
    found = re.search(r"^injected=(\d+)", demo.text(), re.MULTILINE)
    assert found
    assert int(found[1]) > 50


def test_the_service_stays_up_answers_and_ends_cleanly(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    wait_until(lambda: "The service stays up" in demo.text() or demo.process.poll() is not None, 120)
    try:
        assert demo.get("/") == (200, {"stored": EXACT[0], "dead_lettered": EXACT[1]})
        status, delays = demo.get("/delays/LAX")
        assert status == 200
        assert isinstance(delays, dict)
        assert delays["name"] == "Los Angeles Intl"
        status, letters = demo.get("/dead-letters")
        assert isinstance(letters, list)
        assert {letter["cause"] for letter in letters} == {"ValidationError"}
        assert all("time: the flight was" in letter["reason"] for letter in letters)
        assert demo.get("/readyz", demo.ops)[0] == 200
    finally:
        code = demo.end(signal.SIGTERM)
    assert code == 0, demo.text()
    assert "Traceback" not in demo.text()
