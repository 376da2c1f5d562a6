"""Handling of messages: decode, call the handler, repeat, store dead letters."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

import msgspec

from corten.clock import Clock
from corten.dead_letters.letter import DeadLetter
from corten.dead_letters.store import DeadLetterStore
from corten.errors import MessageError
from corten.events import DeadLettered, Event
from corten.events.observer import MessageDetails
from corten.messages.backoff import Backoff, is_retryable
from corten.messages.consumer import Consumer, handler_shape
from corten.messages.message import Message, Received
from corten.messages.statistics import ConsumerCounts
from corten.secrets import redact

_log = logging.getLogger("corten.messages")

_LONGEST_REASON = 2000
_LONGEST_LOGGED = 300
_LOG_AGAIN = 10.0
"""Seconds between two lines of a consumer's log about dead letters: bad messages must not fill a disk."""

Keeps = Callable[[], bool]
"""Called before and after each wait: False where the messages are left to the partition's next consumer."""

ObserveMessage = Callable[[MessageDetails], AbstractContextManager[object]]


class Failure(NamedTuple):
    """A message that failed for good."""

    message: Message
    error: Exception
    attempts: int


class Handling:
    """A consumer's handler with decoding, retries and dead letters; independent of partitions."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        store: DeadLetterStore,
        backoff: Backoff,
        clock: Clock,
        counts: ConsumerCounts,
        emit: Callable[[Event], object],
        observers: Sequence[ObserveMessage] = (),
        on_error: Callable[[str, Exception], object] = lambda _name, _error: None,
    ) -> None:
        shape = handler_shape(consumer)
        self._consumer = consumer
        self._received = shape.received
        self._decode = consumer.decode or _decoder(shape.type)
        self._call: Callable[[Any], Awaitable[object]] = (
            consumer.handler if consumer.pipeline is None else consumer.pipeline(consumer.handler)
        )
        self._store = store
        self._backoff = backoff
        self._clock = clock
        self._not_logged = 0
        self._logged_at: float | None = None
        self._counts = counts
        self._emit = emit
        self._observers = tuple(observers)
        self._on_error = on_error

    async def handle_one(self, message: Message, keeps: Keeps) -> bool:
        """Handle one message; return False if it was left unfinished."""
        try:
            value = message.value if self._decode is None else self._decode(message.value)
        except Exception as error:  # noqa: BLE001 - types and decoders are the user's
            return await self._dead_letter([Failure(message, error, 1)], keeps)
        if self._received:
            value = Received(value, message)
        failures: list[Failure] = []
        if not await self._attempt((message,), value, failures, keeps):
            return False
        return not failures or await self._dead_letter(failures, keeps)

    async def handle_batch(self, messages: Sequence[Message], keeps: Keeps) -> bool:
        """Handle messages as one batch; return False if some were left unfinished.

        A batch that fails for good is halved until the bad messages are found.
        """
        failures: list[Failure] = []
        values: list[Any] = []
        append = values.append
        decode = self._decode or _unchanged
        for message in messages:
            try:
                append(decode(message.value))
            except Exception as error:  # noqa: BLE001 - types are the user's; an inner try costs nothing
                failures.append(Failure(message, error, 1))
        if failures:
            bad = {id(failure.message) for failure in failures}
            messages = [message for message in messages if id(message) not in bad]
        if self._received:
            values = [Received(value, message) for value, message in zip(values, messages, strict=True)]
        parts = [(messages, values)] if values else []
        while parts:
            messages, values = parts.pop()
            before = len(failures)
            if not await self._attempt(messages, values, failures, keeps):
                return False
            if len(failures) > before and len(messages) > 1:
                failures.pop()
                half = len(messages) // 2
                parts.append((messages[half:], values[half:]))
                parts.append((messages[:half], values[:half]))
        return not failures or await self._dead_letter(failures, keeps)

    async def _attempt(self, messages: Sequence[Message], argument: Any, failures: list[Failure], keeps: Keeps) -> bool:
        """Call the handler until success or final failure; return False if left.

        :param failures: gets the final failure
        """
        failed = 0
        try:
            while True:
                try:
                    if self._observers:
                        await self._observed(messages, argument)
                    else:
                        await self._call(argument)
                except Exception as error:  # noqa: BLE001 - the handler is the user's
                    limit = self._consumer.max_attempts
                    if not is_retryable(error) or (limit is not None and failed + 1 >= limit):
                        failures.append(Failure(messages[0], error, failed + 1))
                        return True
                    if not keeps():
                        return False
                    failed += 1
                    self._counts.retry()
                    await self._backoff.wait(failed, error, "handling")
                    if not keeps():
                        return False
                else:
                    self._counts.success(len(messages))
                    return True
        finally:
            if failed:
                self._backoff.end(failed)

    async def _observed(self, messages: Sequence[Message], argument: Any) -> None:
        first = messages[0]
        details = MessageDetails("process", first.topic, self._consumer.name, len(messages), dict(first.headers))
        with ExitStack() as stack:
            for observe in self._observers:
                stack.enter_context(observe(details))
            await self._call(argument)

    async def _dead_letter(self, failures: Sequence[Failure], keeps: Keeps) -> bool:
        """Store dead letters, however long that takes; return False if left.

        :raises MessageError: the consumer wants no dead letters
        """
        for failure in failures:
            self._on_error(f"consumer {self._consumer.name}", failure.error)
        if not self._consumer.dead_letters:
            worst = failures[0]
            raise MessageError(
                f"consumer {self._consumer.name!r}: message {worst.message.id!r} failed for good and the consumer "
                f"keeps no dead letters: {type(worst.error).__name__}: {worst.error}"
            ) from worst.error
        now = time.time()
        letters = [_letter(self._consumer.name, failure, now) for failure in failures]
        failed = 0
        try:
            while True:
                try:
                    await self._store.put(letters)
                    break
                except Exception as error:  # noqa: BLE001 - a message must not be lost, whatever the store raises
                    if not keeps():
                        return False
                    failed += 1
                    await self._backoff.wait(failed, error, "storing dead letters")
                    if not keeps():
                        return False
        finally:
            if failed:
                self._backoff.end(failed)
        self._counts.dead_letters(len(letters))
        first = letters[0]
        self._emit(DeadLettered(source=self._consumer.name, count=len(letters), cause=first.cause, reason=first.reason))
        self._log_letters(first, len(letters))
        return True

    def _log_letters(self, letter: DeadLetter, count: int) -> None:
        self._not_logged += count
        now = self._clock.now()
        if self._logged_at is not None and now - self._logged_at < _LOG_AGAIN:
            return
        _log.warning(
            "consumer %r: %d dead letters, such as message %r: %s: %s",
            self._consumer.name,
            self._not_logged,
            letter.id,
            letter.cause,
            redact(letter.reason)[:_LONGEST_LOGGED],
        )
        self._not_logged, self._logged_at = 0, now


def _decoder(type_: Any) -> Callable[[bytes], Any] | None:
    """Return a decoder from JSON to a type; None for ``bytes``."""
    return None if type_ is bytes else msgspec.json.Decoder(type_).decode


def _unchanged(value: bytes) -> bytes:
    return value


def _letter(source: str, failure: Failure, now: float) -> DeadLetter:
    message = failure.message
    return DeadLetter(
        id=message.id,
        source=source,
        topic=message.topic,
        value=message.value,
        cause=type(failure.error).__name__,
        reason=str(failure.error)[:_LONGEST_REASON],
        key=message.key,
        headers=message.headers,
        partition=message.partition,
        offset=message.offset,
        attempts=failure.attempts,
        failed_at=now,
    )
