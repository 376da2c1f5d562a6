"""Topics that are made where they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, cast

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from corten.errors import MessageError, ResourceUnavailable
from corten_kafka.errors import describe

_REFUSED = frozenset(
    {
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_CONFIG,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)


class Topic(msgspec.Struct, frozen=True):
    """How a missing topic is made."""

    partitions: int = 1
    replicas: int | None = None
    """None: the cluster's default."""
    configuration: Mapping[str, str] = {}
    """Kafka's own words: ``{"retention.ms": "86400000"}``."""


def ensure_topics(admin: AdminClient, topics: Mapping[str, Topic], timeout: float) -> list[str]:
    """Create missing topics and return their names, blocking; existing topics stay as they are.

    :raises MessageError: Kafka refuses a topic as it is described
    :raises ResourceUnavailable: the cluster did not answer in time
    """
    wanted = [
        NewTopic(
            name,
            num_partitions=topic.partitions,
            replication_factor=-1 if topic.replicas is None else topic.replicas,
            config=dict(topic.configuration),
        )
        for name, topic in topics.items()
    ]
    if not wanted:
        return []
    made: list[str] = []
    asked = cast("Any", admin).create_topics(wanted, operation_timeout=timeout, request_timeout=timeout)
    for name, future in cast("dict[str, Future[None]]", asked).items():
        try:
            future.result(timeout + 1)
        except KafkaException as error:
            problem: KafkaError = error.args[0]
            if problem.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            kind = MessageError if problem.code() in _REFUSED else ResourceUnavailable
            raise kind(f"Kafka did not make topic {name!r}: {describe(problem)}") from error
        except TimeoutError as error:
            raise ResourceUnavailable(f"Kafka did not make topic {name!r} within {timeout:g} s") from error
        made.append(name)
    return made
