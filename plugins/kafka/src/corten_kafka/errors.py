"""Kafka's errors, told apart: the message's fault, or the cluster's for now."""

from __future__ import annotations

from confluent_kafka import KafkaError

from corten.errors import CortenError, MessageError, ResourceUnavailable

_OF_THE_MESSAGE = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.POLICY_VIOLATION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._INVALID_ARG,
        KafkaError._BAD_MSG,
    }
)


def send_error(error: KafkaError, topic: str) -> CortenError:
    """Return the error for a message that was not acknowledged."""
    if error.code() in _OF_THE_MESSAGE:
        return MessageError(f"Kafka refused a message for topic {topic!r}: {describe(error)}")
    return ResourceUnavailable(f"Kafka did not acknowledge a message for topic {topic!r}: {describe(error)}")


def describe(error: KafkaError) -> str:
    """The error's words and name."""
    return f"{error.str()} ({error.name()})"
