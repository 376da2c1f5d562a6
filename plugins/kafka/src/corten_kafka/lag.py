"""Consumer lag: measured by the consumers' threads, read by the metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import confluent_kafka
from confluent_kafka import KafkaException, TopicPartition

from corten.messages import Partition
from corten.metrics import Measurement

_INTERVAL = 1.0
"""Seconds between two measurements of a group."""


class Lag:
    """Uncommitted messages for each group and partition, as far as the client knows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._committed: dict[tuple[str, Partition], int] = {}
        self._lags: dict[tuple[str, Partition], int] = {}
        self._due: dict[str, float] = {}

    def committed(self, group: str, partition: Partition, position: int) -> None:
        """Note what a group has committed."""
        with self._lock:
            self._committed[group, partition] = position

    def measure(self, group: str, consumer: confluent_kafka.Consumer, assigned: Iterable[Partition]) -> None:
        """Compare ends and positions at most once a second, without a request to a broker."""
        now = time.monotonic()
        if now < self._due.get(group, 0.0):
            return
        self._due[group] = now + _INTERVAL
        for topic, number in assigned:
            try:
                ends = consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
                (read,) = consumer.position([TopicPartition(topic, number)])
            except KafkaException:
                continue
            if not ends or ends[1] < 0:
                continue
            with self._lock:
                position = self._committed.get((group, (topic, number)), max(read.offset, 0))
                self._lags[group, (topic, number)] = max(0, ends[1] - position)

    def forget(self, group: str, partitions: Iterable[Partition]) -> None:
        """Forget partitions that another consumer has now."""
        with self._lock:
            for partition in partitions:
                self._committed.pop((group, partition), None)
                self._lags.pop((group, partition), None)

    def measurements(self, instance: str) -> list[Measurement]:
        """A gauge for each group and partition."""
        with self._lock:
            lags = dict(self._lags)
        return [
            Measurement(
                "corten_kafka_lag",
                lag,
                (("client", instance), ("group", group), ("partition", str(number)), ("topic", topic)),
                "Messages that the group has not committed.",
            )
            for (group, (topic, number)), lag in lags.items()
        ]
