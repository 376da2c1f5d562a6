"""Deliveries of many messages at once."""

from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import KafkaError

from corten.errors import ResourceUnavailable
from corten_kafka.delivery import Delivery

pytestmark = pytest.mark.anyio


class Sent:
    """A message as librdkafka reports it."""

    def __init__(self, topic: str) -> None:
        self.topic = lambda: topic


async def test_the_first_failure_among_several_topics_names_its_own() -> None:
    delivery = Delivery(lambda _: None, 3)
    delivery.report(None, cast("Any", Sent("airports")))
    delivery.report(KafkaError(KafkaError._MSG_TIMED_OUT), cast("Any", Sent("flights")))
    delivery.report(KafkaError(KafkaError._MSG_TIMED_OUT), cast("Any", Sent("planes")))
    with pytest.raises(ResourceUnavailable, match="for topic 'flights'"):
        await delivery.wait()
    assert (delivery.acknowledged, delivery.failed) == (1, 2)
