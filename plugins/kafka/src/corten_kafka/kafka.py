"""The resource: publishes with every delivery awaited, makes topics, opens subscriptions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import Any, cast

import anyio.to_thread
import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from corten.errors import MessageError, ResourceUnavailable
from corten.messages import MessageDetails, OutgoingMessage, Partition, Source, Subscription
from corten.plugins import Observer
from corten_kafka.errors import describe
from corten_kafka.lag import Lag
from corten_kafka.producer import Producer
from corten_kafka.settings import KafkaSettings
from corten_kafka.source import open_source
from corten_kafka.topics import Topic, ensure_topics

_ASK_AGAIN = 0.01
"""Seconds between two looks at an answer that librdkafka's thread brings."""


class KafkaStatistics(msgspec.Struct, frozen=True):
    """What went through the producer."""

    sent: int
    """Messages acknowledged."""
    failed: int
    queued: int
    """Messages sent and not acknowledged yet."""


class Kafka:
    """One cluster: a `corten.messages.Publisher`, and what consumers subscribe through."""

    def __init__(
        self,
        settings: KafkaSettings,
        producer: Producer,
        *,
        app: str = "corten",
        observers: Callable[[], Sequence[Observer]] = lambda: (),
    ) -> None:
        self.settings = settings
        self.lag = Lag()
        self._producer = producer
        self._admin = AdminClient(settings.common(app))
        self._app = app
        self._observers = observers

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: KafkaSettings,
        *,
        app: str = "corten",
        observers: Callable[[], Sequence[Observer]] = lambda: (),
    ) -> AsyncGenerator[Kafka, None]:
        """Connect; leaving waits for the deliveries under way.

        :param app: the client's name in the brokers' logs, unless the settings name another
        :param observers: returns the observers of each send, which may add headers
        :raises ResourceUnavailable: no broker answered within the settings' ``connect_timeout``, or an option is wrong
        """
        try:
            producer = Producer(settings.producer(app), settings.close_timeout)
        except KafkaException as error:
            raise ResourceUnavailable(f"Kafka producer cannot be made: {describe(error.args[0])}") from error
        try:
            kafka = cls(settings, producer, app=app, observers=observers)
            await kafka.ping(settings.connect_timeout)
            yield kafka
        finally:
            await producer.close()

    async def ping(self, timeout: float = 2.0) -> int:
        """How many brokers the cluster has, asked of one of them.

        :raises ResourceUnavailable: none answered in time
        """
        try:
            return await self._count_brokers(timeout)
        except (KafkaException, TimeoutError) as error:
            words = describe(error.args[0]) if isinstance(error, KafkaException) else "timed out"
            raise ResourceUnavailable(
                f"no Kafka broker of {self.settings.bootstrap_servers} answered within {timeout:g} s: {words};"
                " start it, or correct bootstrap_servers"
            ) from error

    async def _count_brokers(self, timeout: float) -> int:
        # Not `list_topics`: that asks for all topics, or has a missing one made.
        asked = cast("Any", self._admin).describe_cluster(request_timeout=timeout)
        # Not `result` in a thread: the interpreter joins it at its end, so who stops the app meanwhile would wait.
        until = time.monotonic() + timeout + 1.0
        while not asked.done():
            if time.monotonic() > until:
                raise TimeoutError
            await anyio.sleep(_ASK_AGAIN)
        return len(asked.result().nodes)

    async def send(
        self, topic: str, value: bytes, *, key: bytes | None = None, headers: Mapping[str, bytes] | None = None
    ) -> None:
        """Publish one message and wait until all replicas in sync have it.

        :raises MessageError: Kafka refused the message for good
        :raises ResourceUnavailable: it was not acknowledged in time
        """
        observers = self._observers()
        if not observers:
            await self._producer.send(topic, value, key, [*headers.items()] if headers else None)
            return
        with _observed(observers, MessageDetails("publish", topic, headers=headers or {})):
            carried = {**(headers or {}), **_injected(observers)}
            await self._producer.send(topic, value, key, [*carried.items()] if carried else None)

    async def send_many(self, messages: Iterable[OutgoingMessage]) -> int:
        """Publish all and wait for every acknowledgement; returns how many.

        Memory stays bounded however many there are: at most the settings' ``max_queued_messages`` are under way. When
        one fails, those after it may or may not have been published.

        :raises MessageError: Kafka refused one for good
        :raises ResourceUnavailable: one was not acknowledged in time
        """
        observers = self._observers()
        if not observers:
            return await self._producer.send_many(messages)
        with _observed(observers, MessageDetails("publish", "", count=0)):
            return await self._producer.send_many(messages, tuple(_injected(observers).items()))

    async def ensure_topics(self, topics: Mapping[str, int | Topic], *, timeout: float = 15.0) -> list[str]:
        """Create missing topics; a number gives the partitions. Existing topics stay as they are.

        :returns: the names of the created topics
        :raises MessageError: Kafka refuses a topic as it is described
        :raises ResourceUnavailable: the cluster did not answer in time
        """
        described = {name: Topic(each) if isinstance(each, int) else each for name, each in topics.items()}
        if any(each.partitions < 1 for each in described.values()):
            raise MessageError(f"a topic has at least one partition; asked for: {topics}")
        return await anyio.to_thread.run_sync(ensure_topics, self._admin, described, timeout, abandon_on_cancel=True)

    def subscribe(
        self, subscription: Subscription, revoke: Callable[[frozenset[Partition]], Awaitable[None]]
    ) -> AbstractAsyncContextManager[Source]:
        """Open a subscription, as `corten.messages.MessageSource` wants it."""
        return open_source(self.settings.consumer(self._app, subscription.group), subscription, revoke, self.lag)

    def statistics(self) -> KafkaStatistics:
        """What went through the producer so far."""
        return KafkaStatistics(self._producer.sent, self._producer.failed, self._producer.queued)


def _observed(observers: Sequence[Observer], details: MessageDetails) -> ExitStack:
    """All observers around a publication."""
    with ExitStack() as stack:
        for observer in observers:
            if observer.message is not None:
                stack.enter_context(observer.message(details))
        return stack.pop_all()


def _injected(observers: Sequence[Observer]) -> dict[str, bytes]:
    """Headers that carry the current context."""
    carried: dict[str, bytes] = {}
    for observer in observers:
        if observer.inject is not None:
            carried.update(observer.inject())
    return carried
