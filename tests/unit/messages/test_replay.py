"""Replaying dead letters."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from corten.dead_letters import DeadLetter, MemoryDeadLetterStore
from corten.errors import ResourceUnavailable
from corten.messages import OutgoingMessage, replay
from corten.testing.messages import MemoryBroker

pytestmark = pytest.mark.anyio


async def store_of(count: int, source: str = "flights") -> MemoryDeadLetterStore:
    store = MemoryDeadLetterStore()
    await store.put(
        [
            DeadLetter(
                f"flights/0/{n:05}", source, "flights", b"%d" % n, "ValueError", "bad",
                key=b"k%d" % n, headers=(("h", b"1"),),
            )
            for n in range(count)
        ]
    )  # fmt: skip
    return store


async def test_letters_are_sent_with_key_and_headers_and_wait_no_longer() -> None:
    store, broker = await store_of(250), MemoryBroker()
    assert await replay(store, broker, source="flights") == 250
    sent = broker.messages("flights")
    assert sorted(int(message.value) for message in sent) == list(range(250))
    assert all(message.key == b"k" + message.value and message.headers == (("h", b"1"),) for message in sent)
    assert await store.count() == 0


async def test_replay_publishes_one_source_up_to_the_limit() -> None:
    store, broker = await store_of(10), MemoryBroker()
    assert await replay(store, broker, source="other") == 0
    assert await replay(store, broker, source="flights", limit=3) == 3
    assert [message.value for message in sorted(broker.messages("flights"), key=lambda m: m.value)] == [
        b"0",
        b"1",
        b"2",
    ]
    assert await store.count() == 7


async def test_letters_still_wait_when_the_broker_is_away() -> None:
    store, broker = await store_of(5), MemoryBroker()
    broker.available = False
    with pytest.raises(ResourceUnavailable):
        await replay(store, broker, source="flights")
    assert await store.count() == 5


async def test_a_letter_that_fails_again_before_its_replay_is_noted_waits_on() -> None:
    store = await store_of(2)

    class QuickConsumer(MemoryBroker):
        """A consumer dead-letters the message again before the acknowledgement is seen."""

        async def send_many(self, messages: Iterable[OutgoingMessage]) -> int:
            count = await super().send_many(messages)
            failed = (await store.list())[0]
            await store.put([msgspec.structs.replace(failed, failed_at=5.0)])
            return count

    assert await replay(store, QuickConsumer(), source="flights") == 2
    assert [(letter.id, letter.failed_at) for letter in await store.list()] == [("flights/0/00000", 5.0)]
