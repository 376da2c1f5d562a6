"""The plugin against a real Apache Kafka, on asyncio and on trio."""

from __future__ import annotations

import threading

import anyio
import pytest
from tests.servers.kafka import KafkaServer
from tests.servers.kafka_clients import consuming, settings_for, until
from tests.servers.process import free_port

from corten.errors import MessageError, ResourceUnavailable
from corten.messages import OutgoingMessage, Received
from corten_kafka import Kafka, Topic

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_every_message_arrives_once_and_in_order_for_its_key(kafka: Kafka, topic: str) -> None:
    await kafka.ensure_topics({topic: 4})
    count = 20_000
    sent = await kafka.send_many(
        OutgoingMessage(topic, b"%d" % number, b"key %d" % (number % 100)) for number in range(count)
    )
    assert sent == count
    assert kafka.statistics().sent == count
    seen: dict[bytes | None, list[int]] = {}

    async def handle(values: list[Received[bytes]]) -> None:
        for each in values:
            seen.setdefault(each.message.key, []).append(int(each.value))

    async with consuming(kafka, topic, handle, batch=2000) as runner:
        await until(lambda: runner.statistics().handled >= count)
        await until(lambda: runner.statistics().in_flight == 0)
    assert runner.statistics().handled == count
    assert len(seen) == 100
    assert all(
        numbers == list(range(key, count, 100)) for key, numbers in enumerate(seen[b"key %d" % k] for k in range(100))
    )


async def test_what_was_committed_is_not_read_again(kafka: Kafka, topic: str) -> None:
    await kafka.ensure_topics({topic: 2})
    seen: list[bytes] = []

    async def handle(value: bytes) -> None:
        seen.append(value)

    for part in range(2):
        await kafka.send_many(OutgoingMessage(topic, b"%d" % (part * 100 + number)) for number in range(100))
        async with consuming(kafka, topic, handle) as runner:
            await until(lambda: runner.statistics().handled == 100)
    assert sorted(map(int, seen)) == list(range(200))


async def test_a_message_keeps_its_key_headers_and_time(kafka: Kafka, topic: str) -> None:
    await kafka.ensure_topics({topic: 1})
    await kafka.send(topic, b"value", key=b"key", headers={"id": b"7", "trace": b"\x00"})
    await kafka.send(topic, b"")
    seen: list[Received[bytes]] = []

    async def handle(value: Received[bytes]) -> None:
        seen.append(value)

    async with consuming(kafka, topic, handle):
        await until(lambda: len(seen) == 2)
    message = seen[0].message
    assert (message.topic, message.partition, message.offset, message.key) == (topic, 0, 0, b"key")
    assert message.headers == (("id", b"7"), ("trace", b"\x00"))
    assert message.id == "7"
    assert message.timestamp > 1.6e9
    assert seen[1].message.key is None


async def test_sends_of_many_tasks_at_once_are_all_acknowledged(kafka: Kafka, topic: str) -> None:
    await kafka.ensure_topics({topic: 4})

    async def send(start: int) -> None:
        for number in range(start, start + 10):
            await kafka.send(topic, b"%d" % number)

    async with anyio.create_task_group() as group:
        for start in range(0, 1000, 10):
            group.start_soon(send, start)
    assert kafka.statistics().sent == 1000
    assert kafka.statistics().queued == 0


async def test_a_full_queue_makes_senders_wait_and_loses_nothing(kafka_server: KafkaServer, topic: str) -> None:
    async with Kafka.open(settings_for(kafka_server.bootstrap, max_queued_messages=100)) as kafka:
        await kafka.ensure_topics({topic: 1})
        assert await kafka.send_many(OutgoingMessage(topic, b"x" * 100) for _ in range(5000)) == 5000
        assert kafka.statistics().sent == 5000


async def test_a_message_that_is_too_large_is_the_messages_fault(kafka: Kafka, topic: str) -> None:
    with pytest.raises(MessageError, match="MSG_SIZE_TOO_LARGE"):
        await kafka.send(topic, b"x" * 2_000_000)
    with pytest.raises(MessageError, match="MSG_SIZE_TOO_LARGE"):
        await kafka.send_many([OutgoingMessage(topic, b"x"), OutgoingMessage(topic, b"x" * 2_000_000)])


async def test_topics_are_made_once_and_left_as_they_are(kafka: Kafka, topic: str) -> None:
    assert await kafka.ensure_topics({topic: 3, f"{topic}-b": Topic(1, configuration={"retention.ms": "60000"})}) == [
        topic,
        f"{topic}-b",
    ]
    assert await kafka.ensure_topics({topic: 5}) == []
    with pytest.raises(MessageError, match="did not make topic"):
        await kafka.ensure_topics({"no/slash": 1})


async def test_a_broker_that_is_not_there_is_said_with_its_address() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ResourceUnavailable, match=f"no Kafka broker of {address} answered within 0.5 s"):
        async with Kafka.open(settings_for(address, connect_timeout=0.5, close_timeout=0.1)):
            raise AssertionError


async def test_an_option_that_librdkafka_does_not_know_is_said() -> None:
    with pytest.raises(ResourceUnavailable, match=r'No such configuration property: "no\.such"'):
        async with Kafka.open(settings_for("127.0.0.1:1", options={"no.such": 1})):
            raise AssertionError


@pytest.mark.timeout(180)
async def test_a_second_consumer_takes_a_share_and_nothing_is_lost_or_repeated(kafka: Kafka, topic: str) -> None:
    await kafka.ensure_topics({topic: 4})
    seen: list[list[int]] = [[], []]

    def handler(member: int):  # type: ignore[no-untyped-def]
        async def handle(value: bytes) -> None:
            await anyio.sleep(0.001)
            seen[member].append(int(value))

        return handle

    sent = 0
    published = anyio.Event()

    async def publish() -> None:
        nonlocal sent
        while len(seen[1]) <= 200:  # joining takes as long as it takes: there is always something left to share
            await kafka.send_many(
                OutgoingMessage(topic, b"%d" % number, b"%d" % number) for number in range(sent, sent + 50)
            )
            sent += 50
            await anyio.sleep(0.05)
        published.set()

    async with anyio.create_task_group() as group, consuming(kafka, topic, handler(0), name="shared") as first:
        group.start_soon(publish)
        await until(lambda: len(seen[0]) > 200)
        async with consuming(kafka, topic, handler(1), name="shared") as second:
            await until(lambda: len(seen[1]) > 200, 80)
            await published.wait()
        await until(lambda: first.statistics().handled + second.statistics().handled >= sent, 60)
    assert sorted(seen[0] + seen[1]) == list(range(sent))


async def test_a_slow_handler_holds_back_fetching_and_loses_nothing(kafka: Kafka, topic: str) -> None:
    await kafka.ensure_topics({topic: 1})
    await kafka.send_many(OutgoingMessage(topic, b"%d" % number) for number in range(500))
    release = anyio.Event()
    seen: list[int] = []

    async def handle(values: list[bytes]) -> None:
        await release.wait()
        seen.extend(map(int, values))

    async with consuming(kafka, topic, handle, batch=10) as runner:
        await until(lambda: runner.statistics().in_flight > 0)
        await anyio.sleep(1.0)  # past the thread's patience: the partition is paused
        release.set()
        await until(lambda: runner.statistics().handled == 500)
    assert seen == list(range(500))


async def test_lag_is_measured(kafka: Kafka, topic: str) -> None:
    await kafka.ensure_topics({topic: 1})
    await kafka.send_many(OutgoingMessage(topic, b"x") for _ in range(50))
    release = anyio.Event()

    async def handle(value: bytes) -> None:
        await release.wait()

    def lag() -> float | None:
        found = [each.value for each in kafka.lag.measurements("default") if ("topic", topic) in each.attributes]
        return found[0] if found else None

    async with consuming(kafka, topic, handle):
        await until(lambda: lag() == 50 or lag() == 0, 5)
        release.set()
        await until(lambda: lag() == 0)
    assert lag() is None


async def test_no_thread_is_left(kafka_server: KafkaServer, topic: str) -> None:
    async def handle(value: bytes) -> None: ...

    async with Kafka.open(settings_for(kafka_server.bootstrap)) as kafka:
        await kafka.ensure_topics({topic: 1})
        async with consuming(kafka, topic, handle):
            await kafka.send(topic, b"x")
            assert any(thread.name == f"corten-kafka-{topic}" for thread in threading.enumerate())
    await until(lambda: not any(each.name == f"corten-kafka-{topic}" for each in threading.enumerate()), 5)


async def test_a_cancelled_consumer_leaves_the_group(kafka: Kafka, topic: str) -> None:
    await kafka.ensure_topics({topic: 1})
    await kafka.send(topic, b"x")
    begun: list[bytes] = []

    async def hang(value: bytes) -> None:
        begun.append(value)
        await anyio.sleep_forever()

    async def handle(value: bytes) -> None:
        begun.append(value)

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                await until(lambda: bool(begun))
                scope.cancel()

            group.start_soon(cancel)
            async with consuming(kafka, topic, hang, name="same"):
                await anyio.sleep_forever()
    async with consuming(kafka, topic, handle, name="same") as runner:
        await until(lambda: runner.statistics().handled == 1, 5)
    assert begun == [b"x", b"x"]


async def test_a_start_that_waits_for_a_broker_is_cancelled_at_once_and_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with anyio.move_on_after(0.3) as waiting:
        async with Kafka.open(settings_for(f"127.0.0.1:{free_port()}", connect_timeout=60, close_timeout=0.1)):
            raise AssertionError
    assert waiting.cancelled_caught
    await until(lambda: threading.active_count() <= before, 10)
