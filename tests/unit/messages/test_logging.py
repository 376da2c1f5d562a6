"""Logs of messages that failed for good."""

from __future__ import annotations

import anyio
import pytest

from corten.dead_letters import MemoryDeadLetterStore
from corten.messages import Consumer, ConsumerRunner, OutgoingMessage
from corten.testing import FakeClock
from corten.testing.messages import MemoryBroker

pytestmark = pytest.mark.anyio


async def test_dead_letters_are_logged_with_their_cause_at_most_every_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, clock, store = MemoryBroker(), FakeClock(), MemoryDeadLetterStore()

    async def handle(order: dict[str, int]) -> None: ...

    consumer = Consumer("orders", ("orders",), handle, type=dict[str, int])
    runner = ConsumerRunner(consumer, broker.source, store=store, clock=clock, emit=lambda _: None)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        for _ in range(5):
            await broker.send_many([OutgoingMessage("orders", b"not json")])
            await anyio.wait_all_tasks_blocked()
        await clock.advance(10)
        await broker.send_many([OutgoingMessage("orders", b'{"password": "hunter2"}')])
        await anyio.wait_all_tasks_blocked()
        await runner.stop()
    lines = [record.getMessage() for record in caplog.records if record.name == "corten.messages"]
    assert len(lines) == 2
    assert lines[0].startswith("consumer 'orders': 1 dead letters, such as message 'orders/")
    assert "DecodeError" in lines[0]
    assert "consumer 'orders': 5 dead letters" in lines[1]
    assert "hunter2" not in caplog.text
