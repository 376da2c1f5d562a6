"""Brokers killed under load, consumers killed midway: nothing acknowledged is lost or left unhandled."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from tests.servers.kafka import KafkaCluster, KafkaServer, kafka_cluster, kafka_server, own_kafka_server
from tests.servers.kafka_clients import consuming, settings_for, until
from tests.servers.process import wait_until

from corten.errors import ResourceUnavailable
from corten.messages import OutgoingMessage, Received
from corten_kafka import Kafka

__all__ = ["kafka_cluster", "kafka_server", "own_kafka_server"]

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.timeout(120)]

COUNT = 3000

PROGRAM = """
import sys, anyio
from corten.app import App
from corten.messages import Received
from corten_kafka import KafkaPlugin

bootstrap, topic, path = sys.argv[1:]
app = App("killed", plugins=[KafkaPlugin], autoload=False, config=None,
          arguments={"kafka.bootstrap_servers": bootstrap, "kafka.session_timeout": 6.0})
history = open(path, "a", buffering=1)

@app.consumer(topic, type=bytes, name="killed", concurrency=4)
async def handle(value: bytes) -> None:
    await anyio.sleep(0.001)
    history.write(value.decode() + "\\n")

app.run()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextmanager
def program(bootstrap: str, topic: str, history: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A service in a process of its own that notes what it handles."""
    command = [sys.executable, "-c", PROGRAM, bootstrap, topic, str(history)]
    with history.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def handled(*histories: Path) -> Counter[int]:
    """How often each number was handled; a line that a kill cut off counts for nothing."""
    found: Counter[int] = Counter()
    for history in histories:
        if history.exists():
            found.update(int(line) for line in history.read_text().split("\n")[:-1] if line)
    return found


async def publish(kafka: Kafka, topic: str, count: int = COUNT) -> None:
    await kafka.ensure_topics({topic: 4})
    await kafka.send_many(OutgoingMessage(topic, b"%d" % number, b"%d" % (number % 50)) for number in range(count))


async def test_a_consumer_killed_midway_and_started_again_loses_nothing(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    history = tmp_path / "history"
    async with Kafka.open(settings_for(kafka_server.bootstrap)) as kafka:
        await publish(kafka, "sigkill")
    kills = 0
    for goal in (COUNT // 4, COUNT // 2):
        with program(kafka_server.bootstrap, "sigkill", history) as process:
            wait_until(lambda goal=goal: len(handled(history)) >= goal, 40, what=f"{goal} messages handled")
            process.kill()
            kills += 1
    with program(kafka_server.bootstrap, "sigkill", history) as process:
        wait_until(lambda: len(handled(history)) == COUNT, 40, what="all messages handled")
        process.terminate()
        assert process.wait(20) == 0
    found = handled(history)
    assert sorted(found) == list(range(COUNT))
    repeated = sum(found.values()) - COUNT
    assert repeated <= kills * 1000, "no more is repeated than was fetched and not committed at a kill"


async def test_a_killed_consumer_leaves_its_partitions_to_the_others(kafka_server: KafkaServer, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    async with Kafka.open(settings_for(kafka_server.bootstrap)) as kafka:
        await kafka.ensure_topics({"takeover": 4})
        with (
            program(kafka_server.bootstrap, "takeover", first) as victim,
            program(kafka_server.bootstrap, "takeover", second),
        ):
            sent = 0
            with anyio.fail_after(60):
                while not (handled(first) and handled(second)):
                    await kafka.send_many(OutgoingMessage("takeover", b"%d" % n) for n in range(sent, sent + 100))
                    sent += 100
                    await anyio.sleep(0.2)
            victim.kill()
            await kafka.send_many(OutgoingMessage("takeover", b"%d" % n) for n in range(sent, sent + 400))
            sent += 400
            wait_until(lambda: len(handled(first, second)) == sent, 60, what="all messages handled")
    assert sorted(handled(first, second)) == list(range(sent))


async def test_a_broker_killed_and_restarted_under_load_loses_nothing_acknowledged(
    own_kafka_server: KafkaServer,
) -> None:
    acknowledged: list[int] = []
    seen: list[int] = []
    done = False

    async def send(kafka: Kafka, worker: int) -> None:
        number = worker
        while not done:
            try:
                await kafka.send("load", b"%d" % number, key=b"%d" % (number % 10))
            except ResourceUnavailable:
                continue
            acknowledged.append(number)
            number += 8
            await anyio.sleep(0.001)

    async def handle(values: list[Received[bytes]]) -> None:
        seen.extend(int(each.value) for each in values)

    async with Kafka.open(settings_for(own_kafka_server.bootstrap)) as kafka:
        await kafka.ensure_topics({"load": 4})
        async with consuming(kafka, "load", handle, batch=500) as runner:
            async with anyio.create_task_group() as senders:
                for worker in range(8):
                    senders.start_soon(send, kafka, worker)
                await until(lambda: len(acknowledged) > 1000 and len(seen) > 100)
                own_kafka_server.kill()
                before = len(acknowledged)
                with pytest.raises(ResourceUnavailable, match="no Kafka broker"):
                    await kafka.ping(0.5)
                await anyio.to_thread.run_sync(own_kafka_server.start)
                await until(lambda: len(acknowledged) > before + 1000, 60)
                done = True
            await until(lambda: set(acknowledged) <= set(seen), 60)
            assert runner.statistics().dead_lettered == 0
        assert await kafka.ping() == 1


async def test_the_loss_of_a_leader_loses_nothing_acknowledged(kafka_cluster: KafkaCluster) -> None:
    acknowledged: list[int] = []
    seen: list[int] = []

    async def handle(values: list[bytes]) -> None:
        seen.extend(map(int, values))

    async def send(kafka: Kafka, worker: int) -> None:
        for number in range(worker * 500, worker * 500 + 500):
            await kafka.send("led", b"%d" % number)
            acknowledged.append(number)
            await anyio.sleep(0.002)

    async with Kafka.open(settings_for(kafka_cluster.bootstrap)) as kafka:
        await kafka.ensure_topics({"led": 6})
        async with consuming(kafka, "led", handle, batch=500):
            async with anyio.create_task_group() as senders:
                for worker in range(8):
                    senders.start_soon(send, kafka, worker)
                await until(lambda: len(acknowledged) > 400)
                await anyio.to_thread.run_sync(kafka_cluster.brokers[2].kill)
            assert len(acknowledged) == 4000
            await until(lambda: set(seen) == set(acknowledged), 60)
    assert kafka.statistics().failed == 0
