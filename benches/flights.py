"""The flights example end to end, next to `flights_peer.py`, in turn.

Both publish and consume 336,776 messages through a real Kafka and store into a real PostgreSQL. Each run has a new
topic, group and database. Rows a second are from the first published message to the last stored row.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

from corten.dev import free_port

FLIGHTS = 336_776
TARGET = 3.0


def ours(kafka: KafkaServer, dsn: str, folder: str) -> float:
    """Run the example; return rows a second."""
    environ = {
        **os.environ,
        "CORTEN_POSTGRES__DSN": dsn,
        "CORTEN_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap,
        "CORTEN_APP__PORT": str(free_port()),
        "CORTEN_OPS__PORT": str(free_port()),
    }
    command = [sys.executable, str(ROOT / "examples/flights/demo.py"), "--once", "--folder", folder]
    output = subprocess.run(command, check=True, env=environ, capture_output=True, text=True).stdout
    assert f"input={FLIGHTS}" in output, output
    found = re.search(r"exact, in ([\d.]+) s", output)
    assert found, output
    return FLIGHTS / float(found[1])


def peer(kafka: KafkaServer, dsn: str, topic: str) -> float:
    """Run the peer; return rows a second."""
    command = [sys.executable, str(ROOT / "benches/flights_peer.py"), kafka.bootstrap, dsn, topic]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output)
    assert result["stored"] + result["dead_lettered"] == FLIGHTS, result
    return FLIGHTS / float(result["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the flights and their peer in turn; rows a second.")
    parser.add_argument("rounds", type=int, nargs="?", default=3, help="runs of each, 3 by default")
    rounds = parser.parse_args().rounds
    pairs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as postgres:
        for number in range(rounds):
            # Each has its own Kafka, without the other's messages.
            with KafkaServer() as kafka:
                mine = ours(kafka, postgres.create_database(f"ours_{number}"), folder)
            with KafkaServer() as kafka:
                dsn = postgres.create_database(f"peer_{number}")
                theirs = peer(kafka, dsn, "flights")
            pairs.append((mine, theirs))
            print(f"  round {number + 1}: corten {mine:,.0f} rows/s, peer {theirs:,.0f} rows/s, {mine / theirs:.2f} x")
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    print("\nflights, end to end (median of the pairs)")
    print(f"  {ratio:.2f} x aiokafka + asyncpg + aiocache; target {TARGET:g}: {'met' if ratio >= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main()
