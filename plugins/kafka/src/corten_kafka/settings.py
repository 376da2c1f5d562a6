"""The section ``[kafka]`` of the settings."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal

import msgspec

from corten.secrets import Secret
from corten.settings import Duration, Size

Option = str | int | float | bool

_OURS = {
    "bootstrap.servers": "bootstrap_servers",
    "client.id": "client_id",
    "group.id": "the consumer's group",
    "enable.auto.commit": "nothing: a message is committed when it was handled",
    "enable.auto.offset.store": "nothing: a message is committed when it was handled",
    "acks": "nothing: all replicas in sync acknowledge",
    "enable.idempotence": "nothing: the producer is idempotent",
    "delivery.report.only.error": "nothing: each delivery is awaited",
}
"""Options of librdkafka that would undo a promise, and what to set instead."""


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The address of a Kafka cluster, and limits for messages under way."""

    bootstrap_servers: str | None = None
    """``host:port,host:port``: some of the brokers; the client learns the others from them."""
    client_id: str | None = None
    """What the brokers log; the app's name unless said."""
    connect_timeout: Duration = 10.0
    """How long the start waits for a first broker to answer."""
    delivery_timeout: Duration = 30.0
    """How long a message may take to be acknowledged, librdkafka's own attempts included."""
    max_queued_messages: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    """Messages sent and not acknowledged; beyond that senders wait."""
    max_queued_bytes: Size = 64 * 1024 * 1024
    """The limit in bytes."""
    close_timeout: Duration = 10.0
    """How long closing waits for deliveries under way."""
    auto_offset_reset: Literal["earliest", "latest"] = "earliest"
    """Where a group begins that has committed nothing."""
    session_timeout: Duration = 45.0
    """Time without a heartbeat after which a consumer's partitions go to other consumers."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: Secret | None = None
    options: dict[str, Option] = {}
    """Any other option of librdkafka, for all clients: ``{"ssl.ca.location" = "/etc/ca.pem"}``."""
    producer_options: dict[str, Option] = {}
    """Options of librdkafka for the producer alone: ``{"linger.ms" = 20}``."""
    consumer_options: dict[str, Option] = {}
    """Options of librdkafka for consumers alone."""

    def __post_init__(self) -> None:
        for table in ("options", "producer_options", "consumer_options"):
            for name in getattr(self, table):
                if name in _OURS:
                    raise ValueError(f"{table} must not set {name!r}; set {_OURS[name]}")

    def common(self, app: str) -> dict[str, Any]:
        """What every client is configured with."""
        configuration: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": self.client_id or app,
            "security.protocol": self.security_protocol,
            "topic.metadata.refresh.interval.ms": 30_000,
            "logger": logging.getLogger("corten.kafka.librdkafka"),
        }
        password = None if self.sasl_password is None else self.sasl_password.reveal()
        sasl = {
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": password,
        }
        configuration |= {name: value for name, value in sasl.items() if value is not None}
        return configuration | self.options

    def producer(self, app: str) -> dict[str, Any]:
        """The producer's configuration: no acknowledged message is lost, none is written twice."""
        return {
            **self.common(app),
            "linger.ms": 5,
            "message.timeout.ms": max(1, round(self.delivery_timeout * 1000)),
            "queue.buffering.max.messages": self.max_queued_messages,
            "queue.buffering.max.kbytes": max(1, self.max_queued_bytes // 1024),
            **self.producer_options,
            "enable.idempotence": True,
            "acks": "all",
        }

    def consumer(self, app: str, group: str) -> dict[str, Any]:
        """A consumer's configuration: it commits only on request."""
        return {
            **self.common(app),
            "auto.offset.reset": self.auto_offset_reset,
            "session.timeout.ms": max(1, round(self.session_timeout * 1000)),
            "partition.assignment.strategy": "cooperative-sticky",
            "queued.max.messages.kbytes": 16 * 1024,
            "fetch.queue.backoff.ms": 5,  # by default a second without fetching once the queue was full
            **self.consumer_options,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }
