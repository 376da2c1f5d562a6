"""The producer on its thread, which wakes the event loop once for each batch of deliveries."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import confluent_kafka
from confluent_kafka import KafkaException

from corten.errors import CortenError, ResourceUnavailable
from corten.event_loop import loop_caller
from corten.messages import OutgoingMessage
from corten_kafka.delivery import Delivery
from corten_kafka.errors import send_error

_POLL = 0.2
"""Seconds for which the thread waits in librdkafka before it looks whether it is to end."""

_TURN = 1000
"""Messages handed to librdkafka before other tasks of the loop get a turn."""


Headers: TypeAlias = list[tuple[str, str | bytes | None]]
"""As librdkafka wants them."""


class Producer:
    """Passes messages to librdkafka and awaits their acknowledgements; made on the loop that uses it."""

    def __init__(self, configuration: dict[str, Any], close_timeout: float) -> None:
        self.client = confluent_kafka.Producer(configuration)
        self.sent = 0
        self.failed = 0
        self._close_timeout = close_timeout
        self._call_soon = loop_caller()
        self._settled: list[Delivery] = []
        self._room = anyio.Event()
        self._waiting_for_room = False
        self._closing: float | None = None
        self._ended = anyio.Event()
        self._thread = threading.Thread(target=self._serve, name="corten-kafka-producer", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Messages sent and not acknowledged."""
        return len(self.client)

    async def send(self, topic: str, value: bytes, key: bytes | None, headers: Headers | None) -> None:
        """Send one message and wait for its acknowledgement.

        :raises MessageError: Kafka refused it for good
        :raises ResourceUnavailable: it was not acknowledged in time
        """
        delivery = Delivery(self._settled.append, 1)
        await self._produce(topic, value, key, headers, delivery)
        try:
            await delivery.wait()
        finally:
            self._count(delivery)

    async def send_many(self, messages: Iterable[OutgoingMessage], extra: tuple[tuple[str, bytes], ...] = ()) -> int:
        """Send all and wait for every acknowledgement; returns how many.

        What comes after the first message that failed is not sent any more.

        :raises MessageError: Kafka refused one for good
        :raises ResourceUnavailable: one was not acknowledged in time
        """
        delivery = Delivery(self._settled.append)
        produce, report = self.client.produce, delivery.report
        count = 0
        failure: CortenError | None = None
        try:
            for message in messages:
                topic, value, key = message.topic, message.value, message.key
                headers: Headers | None = [*message.headers, *extra] if message.headers or extra else None
                try:
                    self._require_open()
                    # The keyword form costs a third more per message.
                    produce(topic, value, key, -1, report, None, 0, headers) if headers else produce(
                        topic, value, key, -1, report
                    )
                except BufferError:
                    await self._produce(topic, value, key, headers, delivery)
                except KafkaException as error:
                    raise send_error(error.args[0], topic) from error
                count += 1
                if count % _TURN == 0:
                    await anyio.lowlevel.checkpoint()
                    if delivery.error is not None:
                        break
        except CortenError as error:
            failure = error
        delivery.expected = count
        try:
            if count:
                await delivery.wait()
        finally:
            self._count(delivery)
        if failure is not None:
            raise failure
        return count

    async def _produce(
        self, topic: str, value: bytes, key: bytes | None, headers: Headers | None, delivery: Delivery
    ) -> None:
        """Hand a message to librdkafka, waiting while its queue is full."""
        while True:
            self._require_open()
            try:
                if headers:
                    self.client.produce(topic, value, key, -1, delivery.report, headers=headers)
                else:
                    self.client.produce(topic, value, key, -1, delivery.report)
            except BufferError:
                self._waiting_for_room = True  # seen by the thread after its next poll
                await self._room.wait()
            except KafkaException as error:
                raise send_error(error.args[0], topic) from error
            else:
                return

    def _count(self, delivery: Delivery) -> None:
        self.sent += delivery.acknowledged
        self.failed += delivery.failed

    def _require_open(self) -> None:
        if self._closing is not None:
            raise ResourceUnavailable("the Kafka producer was closed")

    async def close(self) -> None:
        """Wait for deliveries within the limit, then end the thread; the remaining messages fail."""
        self._closing = time.monotonic() + self._close_timeout
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._close_timeout + 5):
            await self._ended.wait()

    def _serve(self) -> None:
        """The thread: serve deliveries until closed."""
        client = self.client
        while True:
            client.poll(_POLL if self._closing is None else 0.02)
            self._hand_over()
            if self._closing is not None:
                if not len(client):
                    break
                if time.monotonic() > self._closing:
                    client.purge()
                    client.poll(1.0)
                    self._hand_over()
                    break
        self._call_soon(self._ended.set)

    def _hand_over(self) -> None:
        """Wake the loop once for all finished deliveries, and for senders that wait for room."""
        if self._settled or self._waiting_for_room:
            settled, self._settled[:] = list(self._settled), []
            self._call_soon(lambda: self._wake(settled))

    def _wake(self, settled: list[Delivery]) -> None:
        """On the loop."""
        for delivery in settled:
            delivery.wake()
        if self._waiting_for_room:
            self._waiting_for_room = False
            room, self._room = self._room, anyio.Event()
            room.set()
