"""Clients of a Kafka that tests have started: settings, a running consumer, polling."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from corten.clock import Clock
from corten.dead_letters import MemoryDeadLetterStore
from corten.messages import Consumer, ConsumerRunner, MessageSource
from corten_kafka import Kafka, KafkaSettings


def settings_for(bootstrap: str, **more: Any) -> KafkaSettings:
    """Settings that notice a dead consumer soon."""
    return KafkaSettings(**{"bootstrap_servers": bootstrap, "session_timeout": 6.0, **more})


async def until(true: Callable[[], bool], limit: float = 30.0) -> None:
    """Poll until something is true; fails past the limit."""
    with anyio.fail_after(limit):
        while not true():  # noqa: ASYNC110 - a server outside of this process
            await anyio.sleep(0.02)


@asynccontextmanager
async def consuming(
    kafka: Kafka, topic: str, handler: Callable[[Any], Awaitable[object]], **options: Any
) -> AsyncIterator[ConsumerRunner]:
    """A consumer of bytes that runs as long as the block."""
    consumer = Consumer(options.pop("name", topic), (topic,), handler, **{"type": bytes, **options})
    runner = ConsumerRunner(
        consumer, MessageSource("kafka", kafka.subscribe), store=MemoryDeadLetterStore(), clock=Clock()
    )
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        try:
            yield runner
        finally:
            with anyio.CancelScope(shield=True):
                await runner.stop()
