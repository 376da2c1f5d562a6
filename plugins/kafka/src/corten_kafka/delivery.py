"""Deliveries: who waits for which acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
from confluent_kafka import KafkaError, Message

from corten.errors import CortenError
from corten_kafka.errors import send_error


class Delivery:
    """Messages whose acknowledgements are awaited together.

    Counted on the producer's thread; ``expected`` is set on the loop when all were handed to librdkafka. The first
    error is kept.
    """

    __slots__ = ("_finished", "_wake", "acknowledged", "error", "expected", "failed")

    def __init__(self, finished: Callable[[Delivery], object], expected: int | None = None) -> None:
        self._finished = finished
        self._wake: Callable[[], object] | None = None
        self.expected = expected
        self.acknowledged = 0
        self.failed = 0
        self.error: CortenError | None = None

    def report(self, error: KafkaError | None, message: Message) -> None:
        """What librdkafka calls for each message, on the producer's thread."""
        if error is None:
            self.acknowledged += 1
        else:
            if self.error is None:
                self.error = send_error(error, message.topic() or "")
            self.failed += 1
        if self.expected is not None and self.acknowledged + self.failed >= self.expected:
            self._finished(self)

    @property
    def settled(self) -> bool:
        """Whether librdkafka has reported the delivery of every message."""
        return self.expected is not None and self.acknowledged + self.failed >= self.expected

    def wake(self) -> None:
        """Called on the loop when the delivery is settled."""
        if self._wake is not None:
            self._wake()

    async def wait(self) -> None:
        """Wait until it is settled.

        :raises MessageError: Kafka refused a message for good
        :raises ResourceUnavailable: a message was not acknowledged in time
        """
        if not self.settled:
            await self._wait()
        if self.error is not None:
            raise self.error

    async def _wait(self) -> None:
        """Wait for :meth:`wake`, which the loop calls after this was entered."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # trio
            event = anyio.Event()
            self._wake = event.set
            await event.wait()
        else:  # a bare future costs half of an event, and there is one for each message sent by itself
            future: asyncio.Future[None] = loop.create_future()

            def wake() -> None:
                if not future.done():
                    future.set_result(None)

            self._wake = wake
            await future
