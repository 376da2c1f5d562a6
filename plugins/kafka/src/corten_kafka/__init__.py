"""Kafka for Corten, on librdkafka."""

from corten_kafka.kafka import Kafka, KafkaStatistics
from corten_kafka.plugin import KafkaPlugin
from corten_kafka.settings import KafkaSettings
from corten_kafka.topics import Topic

__all__ = ["Kafka", "KafkaPlugin", "KafkaSettings", "KafkaStatistics", "Topic"]
