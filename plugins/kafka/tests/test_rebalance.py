"""What a subscription does about a rebalance between two fetches, on a consumer that has one exactly there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import TopicPartition

from corten.messages import Partition, Subscription
from corten_kafka.lag import Lag
from corten_kafka.source import open_source

pytestmark = pytest.mark.anyio

THERE = [TopicPartition("flights", 0)]


class Raw:
    """A message as librdkafka gives it."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def __getattr__(self, name: str) -> Callable[[], Any]:
        values = {"topic": "flights", "partition": 0, "offset": self._offset, "value": b"x", "timestamp": (1, 0)}
        return lambda: values.get(name)


class Rebalancing:
    """Fetches offset 10, loses the partition, gets it back, and fetches from offset 5, where somebody committed."""

    def __init__(self, _: dict[str, Any]) -> None:
        self._fetches = 0

    def subscribe(self, _: list[str], **callbacks: Any) -> None:
        self._callbacks = callbacks

    def consume(self, _: int, __: float) -> list[Raw]:
        self._fetches += 1
        if self._fetches == 1:
            self._callbacks["on_assign"](self, THERE)
            return [Raw(10)]
        if self._fetches == 2:
            self._callbacks["on_revoke"](self, THERE)
            self._callbacks["on_assign"](self, THERE)
            return [Raw(5), Raw(6)]
        return []

    def get_watermark_offsets(self, *_: Any, **__: Any) -> None:
        return None

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        return partitions

    def close(self) -> None:
        return None


async def test_a_message_fetched_before_a_partition_went_and_came_back_is_not_handed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confluent_kafka, "Consumer", Rebalancing)
    gone: list[frozenset[Partition]] = []

    async def revoke(partitions: frozenset[Partition]) -> None:
        gone.append(partitions)

    async with open_source({}, Subscription(("flights",), "g"), revoke, Lag()) as source:
        messages = await source.receive()
    assert [message.offset for message in messages] == [5, 6]
    assert gone == [frozenset({("flights", 0)})]
