"""A real Apache Kafka: brokers in KRaft mode, their jars gathered by Maven; or a cluster of several.

Run as a program, ``python tests/servers/kafka.py install`` only gathers the jars; ``serve [NODES]`` runs brokers until
Ctrl-C.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pytest

from tests.servers.process import ServerProcess, free_port

POM = Path(__file__).parent / "kafka_jars" / "pom.xml"

JVM = (
    "-Xms96m", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
    "-Djava.net.preferIPv4Stack=true",
)  # fmt: skip


def cache_folder() -> Path:
    """Where installed servers are kept: outside the checkout, so that a fresh clone finds them."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "corten-test-servers"


def install() -> Path:
    """The folder with the jars, gathered by Maven the first time; its name has the hash of what it was made from.

    :raises RuntimeError: Java or Maven is missing, or Maven fails
    """
    folder = cache_folder() / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    for tool, package in (("java", "default-jre-headless"), ("mvn", "maven")):
        if shutil.which(tool) is None:
            raise RuntimeError(f"Apache Kafka needs {tool}: apt-get install {package}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        part = Path(tempfile.mkdtemp(prefix="kafka-", dir=folder.parent))
        command = [
            "mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies",
            "-DincludeScope=runtime", f"-DoutputDirectory={part}",
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"Maven could not gather Kafka's jars:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            part.chmod(0o755)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


class KafkaServer(ServerProcess):
    """One broker, which is its own controller unless it belongs to a :class:`KafkaCluster`.

    :param node: its number in the cluster
    :param voters: number and controller port of every node; None for a broker alone
    """

    name = "kafka"

    def __init__(self, *, port: int | None = None, node: int = 1, voters: dict[int, int] | None = None) -> None:
        super().__init__(port=port)
        self.node = node
        self.voters = voters or {node: free_port()}
        self.cluster = base64.urlsafe_b64encode(hashlib.sha256(b"corten tests").digest()[:16]).decode().rstrip("=")

    @property
    def bootstrap(self) -> str:
        """What clients are given."""
        return f"{self.host}:{self.port}"

    def command(self) -> Sequence[str]:
        classes = f"{install()}/*"
        properties = self.folder / "server.properties"
        if not properties.exists():
            properties.write_text("".join(f"{name}={value}\n" for name, value in self.properties().items()))
            subprocess.run(
                [
                    "java", *JVM, "-Dlog4j2.level=ERROR", "-cp", classes, "kafka.tools.StorageTool", "format",
                    "--ignore-formatted", "-t", self.cluster, "-c", str(properties),
                ],
                check=True, capture_output=True,
            )  # fmt: skip
        return ["java", *JVM, "-Dlog4j2.level=INFO", "-cp", classes, "kafka.Kafka", str(properties)]

    def properties(self) -> dict[str, str]:
        """The broker's settings: small, quick to join and to notice a dead neighbour."""
        copies = str(min(3, len(self.voters)))
        enough = str((int(copies) + 1) // 2)
        settings = {
            "node.id": str(self.node),
            "process.roles": "broker,controller",
            "controller.quorum.voters": ",".join(f"{n}@{self.host}:{port}" for n, port in self.voters.items()),
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{self.host}:{self.voters[self.node]}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "true",
            "num.partitions": "4",
            "default.replication.factor": copies,
            "min.insync.replicas": enough,
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "3000",
            "log.cleaner.dedupe.buffer.size": "4194304",
        }
        for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
            settings[f"{topic}.replication.factor"] = copies
            settings[f"{topic}.num.partitions"] = "1"
            if topic != "offsets.topic":
                settings[f"{topic}.min.isr"] = enough
        return settings

    def answers(self) -> bool:
        log = self.folder / "server.log"
        # Since the last start: a restart appends to the log.
        started = log.read_text(errors="replace").rpartition("Kafka version:")[2]
        if "Kafka Server started" not in started:
            return False
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1.0):
            return True
        return False


class KafkaCluster:
    """Several brokers with every topic on up to three of them."""

    def __init__(self, nodes: int = 3) -> None:
        voters = {node: free_port() for node in range(1, nodes + 1)}
        self.brokers = {node: KafkaServer(node=node, voters=voters) for node in voters}

    @property
    def bootstrap(self) -> str:
        """What clients are given."""
        return ",".join(broker.bootstrap for broker in self.brokers.values())

    def __enter__(self) -> Self:
        try:
            install()
            # A broker waits for the others of its quorum: started one by one without waiting, then waited for.
            for broker in self.brokers.values():
                answers = broker.answers
                broker.answers = lambda: True  # type: ignore[method-assign]
                broker.start()
                broker.answers = answers  # type: ignore[method-assign]
            end = time.monotonic() + 60
            while not all(broker.answers() for broker in self.brokers.values()):
                if time.monotonic() > end:
                    raise TimeoutError("the Kafka cluster was not up within 60 s")
                time.sleep(0.1)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End all brokers and remove their folders; killed, since a clean stop waits for a quorum that is going."""
        for broker in self.brokers.values():
            broker.kill()
            broker.close()

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    """One broker for all tests that leave it alive; each uses topics and groups of its own."""
    with KafkaServer() as server:
        yield server


@pytest.fixture
def own_kafka_server() -> Iterator[KafkaServer]:
    """A broker that a test may kill, freeze and restart."""
    with KafkaServer() as server:
        yield server


@pytest.fixture
def kafka_cluster() -> Iterator[KafkaCluster]:
    """Three brokers of which a test may kill one."""
    with KafkaCluster() as cluster:
        yield cluster


def main(arguments: Sequence[str]) -> int:
    """``install`` or ``serve [NODES]``."""
    if arguments[:1] == ["install"]:
        try:
            sys.stdout.write(f"{install()}\n")
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")
            return 69
        return 0
    if arguments[:1] == ["serve"]:
        with (
            KafkaCluster(int(arguments[1]) if len(arguments) > 1 else 1) as cluster,
            contextlib.suppress(KeyboardInterrupt),
        ):
            sys.stdout.write(f"{cluster.bootstrap}\n")
            sys.stdout.flush()
            while True:
                time.sleep(1)
        return 0
    sys.stderr.write(f"{__doc__}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
