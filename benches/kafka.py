"""The plugin `corten-kafka` next to aiokafka, on a real Apache Kafka.

Both are idempotent, with acknowledgement by all replicas, 300 bytes a message and four partitions. Producers await
every delivery. Consumers decode every message by msgspec, call one handler in batches, and commit after it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiokafka
import anyio
import msgspec

from corten.clock import Clock
from corten.dead_letters import MemoryDeadLetterStore
from corten.messages import Consumer, ConsumerRunner, MessageSource, OutgoingMessage
from corten_kafka import Kafka, KafkaSettings

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.kafka import KafkaServer

MESSAGES = 100_000
READ = 300_000
SINGLY = 20_000
AT_ONCE = 500
ROUNDS = 3
TARGET = 2.0
BATCH = 2000


class Flight(msgspec.Struct):
    number: int
    carrier: str
    note: str


VALUES = [msgspec.json.encode(Flight(number, "UA", "x" * 250)) for number in range(1000)]
KEYS = [b"%d" % number for number in range(1000)]


async def produce_ours(kafka: Kafka, topic: str) -> int:
    return await kafka.send_many(OutgoingMessage(topic, VALUES[n % 1000], KEYS[n % 1000]) for n in range(MESSAGES))


async def produce_peer(producer: aiokafka.AIOKafkaProducer, topic: str) -> int:
    """Send by aiokafka at its fastest: await a thousand deliveries together."""
    for start in range(0, MESSAGES, 1000):
        waiting = [await producer.send(topic, VALUES[n % 1000], KEYS[n % 1000]) for n in range(start, start + 1000)]
        if start % 10_000 == 9000:
            await asyncio.gather(*waiting)
    await producer.flush()
    return MESSAGES


async def singly(send: Callable[[int], Awaitable[object]]) -> int:
    """Send and await single messages in many tasks, as services do."""

    async def worker(start: int) -> None:
        for number in range(start, SINGLY, AT_ONCE):
            await send(number)

    async with asyncio.TaskGroup() as group:
        for start in range(AT_ONCE):
            group.create_task(worker(start))
    return SINGLY


async def consume_ours(kafka: Kafka, topic: str, group: str) -> float:
    handled = 0
    first = 0.0
    done = anyio.Event()

    async def handle(flights: list[Flight]) -> None:
        nonlocal handled, first
        first = first or time.perf_counter()
        handled += len(flights)
        if handled >= READ:
            done.set()

    consumer = Consumer(group, (topic,), handle, type=Flight, batch=BATCH)
    runner = ConsumerRunner(
        consumer, MessageSource("kafka", kafka.subscribe), store=MemoryDeadLetterStore(), clock=Clock()
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run)
        await done.wait()
        taken = time.perf_counter() - first
        await runner.stop()
    return taken


async def consume_peer(bootstrap: str, topic: str, group: str) -> float:
    decode = msgspec.json.Decoder(Flight).decode
    handled = 0
    first = 0.0

    async def handle(flights: list[Flight]) -> None:
        nonlocal handled
        handled += len(flights)

    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        while handled < READ:
            found = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
            first = first or time.perf_counter()
            for records in found.values():
                await handle([decode(record.value) for record in records])
            await consumer.commit()
        return time.perf_counter() - first
    finally:
        await consumer.stop()


def report(title: str, count: int, ours: list[float], peer: list[float]) -> None:
    """Print the best rates, and the median of the ratios."""
    ratios = sorted(theirs / our for our, theirs in zip(ours, peer, strict=True))
    ratio = ratios[len(ratios) // 2]
    verdict = "met" if ratio >= TARGET else "MISSED"
    print(f"\n{title}, messages a second (best of {len(ours)})")
    print(f"  {'corten':<24} {count / min(ours):12,.0f}")
    print(f"  {'aiokafka':<24} {count / min(peer):12,.0f}  ours is {ratio:.2f} x; target {TARGET:g} x: {verdict}")


async def timed(call: Awaitable[int]) -> float:
    began = time.perf_counter()
    await call
    return time.perf_counter() - began


async def main() -> None:
    with KafkaServer() as server:
        settings = KafkaSettings(bootstrap_servers=server.bootstrap)
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=server.bootstrap, enable_idempotence=True, acks="all", linger_ms=5
        )
        async with Kafka.open(settings) as kafka:
            await kafka.ensure_topics(dict.fromkeys(("ours", "peer", "input"), 4))
            await producer.start()
            for _ in range(READ // MESSAGES):
                await produce_ours(kafka, "input")
            await measure(kafka, producer, server.bootstrap)
            await producer.stop()


async def measure(kafka: Kafka, producer: aiokafka.AIOKafkaProducer, bootstrap: str) -> None:
    figures: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ("many", "singly", "consume")}
    for number in range(ROUNDS):
        many, alone, consume = figures.values()
        many[0].append(await timed(produce_ours(kafka, "ours")))
        many[1].append(await timed(produce_peer(producer, "peer")))
        alone[0].append(await timed(singly(lambda n: kafka.send("ours", VALUES[n % 1000], key=KEYS[n % 1000]))))
        alone[1].append(await timed(singly(lambda n: producer.send_and_wait("peer", VALUES[n % 1000], KEYS[n % 1000]))))
        consume[0].append(await consume_ours(kafka, "input", f"ours-{number}"))
        consume[1].append(await consume_peer(bootstrap, "input", f"peer-{number}"))
    report("produce, every delivery awaited", MESSAGES, *figures["many"])
    report(f"produce, each awaited by itself by {AT_ONCE} tasks", SINGLY, *figures["singly"])
    report("consume: decode, handle in batches, commit", READ, *figures["consume"])


if __name__ == "__main__":
    asyncio.run(main())
