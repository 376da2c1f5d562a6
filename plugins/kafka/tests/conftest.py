"""What the tests of the plugin share: a real broker, the resource on it, names that no other test uses."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from tests.servers.kafka import KafkaServer, kafka_cluster, kafka_server, own_kafka_server
from tests.servers.kafka_clients import settings_for

from corten_kafka import Kafka

__all__ = ["kafka_cluster", "kafka_server", "own_kafka_server"]

_numbers = itertools.count()


@pytest.fixture
def topic() -> str:
    """A name of its own for each test."""
    return f"topic-{next(_numbers)}"


@pytest.fixture
async def kafka(kafka_server: KafkaServer) -> AsyncIterator[Kafka]:
    """The resource on the shared broker."""
    async with Kafka.open(settings_for(kafka_server.bootstrap)) as kafka:
        yield kafka
