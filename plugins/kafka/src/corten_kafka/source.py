"""A subscription to Kafka: a thread that fetches batches, and the source for the loop."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from corten.errors import CortenError, ResourceUnavailable
from corten.event_loop import loop_caller
from corten.messages import Message, Partition, Subscription
from corten_kafka.errors import describe
from corten_kafka.lag import Lag

_log = logging.getLogger("corten.kafka")

Revoke = Callable[[frozenset[Partition]], Awaitable[None]]

_POLL = 0.05
"""Seconds for which the thread waits for a first message before it looks for requests."""

_PATIENCE = 0.5
"""Seconds for which the thread holds messages back before it pauses, which drops fetched messages."""

_QUEUE = 2
"""Full batches that wait for the loop before the thread fetches no more."""

_CLOSE = 10.0
"""Seconds for which closing waits for the broker's goodbye."""

_HARMLESS = frozenset({KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT})
_FINAL = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.UNSUPPORTED_VERSION,
    }
)


class _Commit:
    """Positions on their way to the coordinator."""

    __slots__ = ("done", "error", "offsets")

    def __init__(self, offsets: list[TopicPartition]) -> None:
        self.offsets = offsets
        self.done = anyio.Event()
        self.error: KafkaError | None = None


@asynccontextmanager
async def open_source(
    configuration: Mapping[str, Any],
    subscription: Subscription,
    revoke: Revoke,
    lag: Lag,
) -> AsyncGenerator[KafkaSource, None]:
    """Subscribe with a thread of its own; leaving returns the partitions to the group."""
    source = KafkaSource(configuration, subscription, revoke, lag)
    try:
        yield source
    finally:
        await source.close()


class KafkaSource:
    """The source for `corten.messages`, with a side for the loop and a side for the thread."""

    def __init__(self, configuration: Mapping[str, Any], subscription: Subscription, revoke: Revoke, lag: Lag) -> None:
        self._subscription = subscription
        self._revoke = revoke
        self._lag = lag
        self._call_soon = loop_caller()
        self._token = anyio.lowlevel.current_token()
        self._lock = threading.Condition()
        self._batches: deque[list[Message]] = deque()
        self._queued = 0
        self._receiver_waits = False
        self._filled = anyio.Event()
        self._error: CortenError | None = None
        self._closing = False
        self._ended = anyio.Event()
        self._wanted_paused = False
        self._paused = False
        self._assigned: set[Partition] = set()
        self._gone: set[Partition] = set()
        self._commits: deque[_Commit] = deque()
        self._closed = False
        try:
            self._consumer = confluent_kafka.Consumer(dict(configuration))
        except KafkaException as error:
            raise ResourceUnavailable(
                f"Kafka consumer of group {subscription.group!r} cannot be made: {describe(error.args[0])}"
            ) from error
        self._thread = threading.Thread(target=self._serve, name=f"corten-kafka-{subscription.group}", daemon=True)
        self._thread.start()

    # -- on the loop

    async def receive(self) -> Sequence[Message]:
        """Wait for messages and take up to the subscription's ``max_batch``; an empty batch once closed.

        :raises ResourceUnavailable: the consumer has no permission, or failed for good
        """
        while True:
            with self._lock:
                if self._batches:
                    return self._take()
                if self._error is not None:
                    raise self._error
                if self._closing:
                    return []
                self._receiver_waits = True
                filled = self._filled = anyio.Event()
            await filled.wait()

    def _take(self) -> list[Message]:
        """Return up to a full batch of waiting messages; called with the lock held."""
        limit = self._subscription.max_batch
        taken = self._batches.popleft()
        while self._batches and len(taken) + len(self._batches[0]) <= limit:
            taken += self._batches.popleft()
        if len(taken) > limit:
            self._batches.appendleft(taken[limit:])
            del taken[limit:]
        self._queued -= len(taken)
        self._lock.notify_all()
        return taken

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Commit positions of assigned partitions, and wait until the group's coordinator confirms.

        :raises ResourceUnavailable: the coordinator did not confirm
        """
        assigned = self._assigned
        offsets = [
            TopicPartition(topic, number, position)
            for (topic, number), position in positions.items()
            if (topic, number) in assigned
        ]
        if not offsets:
            return
        commit = _Commit(offsets)
        with self._lock:
            if self._closed:
                raise ResourceUnavailable(f"the Kafka consumer of group {self._subscription.group!r} was closed")
            self._commits.append(commit)
            self._lock.notify_all()
        await commit.done.wait()
        if commit.error is not None:
            raise ResourceUnavailable(
                f"Kafka did not commit for group {self._subscription.group!r}: {describe(commit.error)}"
            )

    async def _finish(self, gone: frozenset[Partition]) -> None:
        await self._revoke(gone)

    def pause(self) -> None:
        """Stop fetching; the thread keeps the assignment alive."""
        self._wanted_paused = True

    def resume(self) -> None:
        """Fetch again."""
        with self._lock:
            self._wanted_paused = False
            self._lock.notify_all()

    async def close(self) -> None:
        """Leave the group; past the limit the thread is left behind."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_CLOSE):
                await self._ended.wait()
            if not self._ended.is_set():
                _log.warning("the consumer of group %r did not leave within %g s", self._subscription.group, _CLOSE)

    # -- on the thread

    def _serve(self) -> None:
        """Fetch until closed; what goes wrong is raised by the next :meth:`receive`."""
        try:
            self._consumer.subscribe(
                list(self._subscription.topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            while not self._closing:
                self._commit_all()
                self._wait_for_room()
                self._fetch()
        except Exception as error:  # noqa: BLE001 - whatever ends the thread reaches the loop
            self._fail(error)
        finally:
            try:
                self._consumer.close()
            except Exception as error:  # noqa: BLE001 - closing a broken consumer
                _log.warning("closing the consumer of group %r: %r", self._subscription.group, error)
            self._lag.forget(self._subscription.group, self._assigned)
            with self._lock:
                self._closing = self._closed = True
                left, self._commits = self._commits, deque()
            for commit in left:
                commit.error = KafkaError(KafkaError._DESTROY)
                self._call_soon(commit.done.set)
            self._call_soon(self._wake)
            self._call_soon(self._ended.set)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, CortenError):
            words = describe(error.args[0]) if isinstance(error, KafkaException) else repr(error)
            error = ResourceUnavailable(f"Kafka consumer of group {self._subscription.group!r} failed: {words}")
        with self._lock:
            self._error = error

    def _wait_for_room(self) -> None:
        """Hold messages back while the loop has enough of them, and pause after a while."""
        full = _QUEUE * self._subscription.max_batch
        with self._lock:
            if self._queued >= full and not self._paused and not self._wanted_paused:
                end = time.monotonic() + _PATIENCE
                while self._queued >= full and not (self._closing or self._wanted_paused):
                    if not self._commits and not self._lock.wait(end - time.monotonic()):
                        break
                    if self._commits:
                        self._lock.release()
                        try:
                            self._commit_all()
                        finally:
                            self._lock.acquire()
            pause = self._wanted_paused or self._queued >= full
        if pause != self._paused and not self._closing:
            self._paused = pause
            self._apply_pause(self._assigned)

    def _commit_all(self) -> None:
        """Carry out the requested commits one by one, blocking until the coordinator answers.

        Here and not on the loop's side: in another thread, beside ``consume``, librdkafka's commit may never return.
        """
        while self._commits:
            commit = self._commits.popleft()
            group = self._subscription.group
            try:
                for result in self._consumer.commit(offsets=commit.offsets, asynchronous=False) or ():
                    if result.error is not None:
                        commit.error = result.error
                    else:
                        self._lag.committed(group, (result.topic, result.partition), result.offset)
            except KafkaException as error:
                commit.error = error.args[0]
            self._call_soon(commit.done.set)

    def _apply_pause(self, partitions: Iterable[Partition]) -> None:
        named = [TopicPartition(topic, number) for topic, number in partitions]
        if named:
            (self._consumer.pause if self._paused else self._consumer.resume)(named)

    def _fetch(self) -> None:
        """Wait for one message, then take all that librdkafka has."""
        before = self._assigned
        raws: list[Any] = self._consumer.consume(1, _POLL)
        if raws:
            self._gone = set()
            more = self._consumer.consume(self._subscription.max_batch, 0)
            if (raws[0].topic(), raws[0].partition()) in self._gone:
                # Revoked meanwhile, and maybe assigned anew: then ``more`` begins at an earlier offset, and a commit
                # of the first message would cover what was not handled.
                raws = []
            raws += more
            messages = self._convert(raws)
            if self._assigned is not before:  # a rebalance in between: what was revoked is somebody else's
                assigned = self._assigned
                messages = [each for each in messages if (each.topic, each.partition) in assigned]
            if messages:
                with self._lock:
                    self._batches.append(messages)
                    self._queued += len(messages)
                    wake, self._receiver_waits = self._receiver_waits, False
                if wake:
                    self._call_soon(self._wake)
        self._lag.measure(self._subscription.group, self._consumer, self._assigned)

    def _convert(self, raws: list[Any]) -> list[Message]:
        """Messages of librdkafka as ours; errors among them are said."""
        messages: list[Message] = []
        append = messages.append
        for raw in raws:
            error = raw.error()
            if error is not None:
                self._say(error)
                continue
            value, headers = raw.value(), raw.headers()
            append(
                Message(
                    raw.topic(),
                    raw.partition(),
                    raw.offset(),
                    b"" if value is None else value,
                    raw.key(),
                    tuple([(name, content or b"") for name, content in headers]) if headers else (),
                    raw.timestamp()[1] / 1000.0,
                )
            )
        return messages

    def _wake(self) -> None:
        self._filled.set()

    def _say(self, error: KafkaError) -> None:
        """An error that comes in place of a message."""
        if error.fatal() or error.code() in _FINAL:
            raise ResourceUnavailable(
                f"Kafka consumer of group {self._subscription.group!r} cannot consume: {describe(error)}"
            )
        if error.code() not in _HARMLESS:
            _log.warning("consumer of group %r: %s", self._subscription.group, describe(error))

    # -- rebalances: librdkafka calls these on the thread, from within consume() and close()

    def _on_assign(self, _: object, partitions: list[TopicPartition]) -> None:
        new = _named(partitions)
        self._assigned = self._assigned | new
        _log.info("group %r: assigned %s", self._subscription.group, _words(new))
        if self._paused:
            # The assignment itself happens after this callback: pausing counts from the next round.
            self._paused = False

    def _on_revoke(self, _: object, partitions: list[TopicPartition]) -> None:
        gone = _named(partitions)
        self._gone |= gone
        self._drop(gone)
        if not self._closing:
            self._let_finish(frozenset(gone))
        self._assigned = self._assigned - gone
        self._lag.forget(self._subscription.group, gone)
        _log.info("group %r: gave up %s", self._subscription.group, _words(gone))

    def _let_finish(self, gone: frozenset[Partition]) -> None:
        """Delay the rebalance until the consumer has finished and committed, through this thread."""
        finished = False

        def ask() -> None:
            nonlocal finished
            try:
                anyio.from_thread.run(self._finish, gone, token=self._token)
            except Exception as error:  # noqa: BLE001 - the partitions go either way
                _log.warning("giving up %s: %r", _words(gone), error)
            finally:
                with self._lock:
                    finished = True
                    self._lock.notify_all()

        threading.Thread(target=ask, name="corten-kafka-revoke", daemon=True).start()
        while True:
            self._commit_all()
            with self._lock:
                if finished or self._closing:
                    return
                if not self._commits:
                    self._lock.wait()

    def _on_lost(self, consumer: object, partitions: list[TopicPartition]) -> None:
        """Let messages in hand finish without a commit: the partitions belong to others already."""
        gone = _named(partitions)
        _log.warning("group %r: lost %s", self._subscription.group, _words(gone))
        self._assigned = self._assigned - gone
        self._on_revoke(consumer, partitions)

    def _drop(self, gone: set[Partition]) -> None:
        """Drop fetched messages of partitions that are revoked."""
        with self._lock:
            kept = [
                [message for message in batch if (message.topic, message.partition) not in gone]
                for batch in self._batches
            ]
            self._batches = deque(batch for batch in kept if batch)
            self._queued = sum(map(len, self._batches))


def _named(partitions: Iterable[TopicPartition]) -> set[Partition]:
    return {(each.topic, each.partition) for each in partitions}


def _words(partitions: Iterable[Partition]) -> str:
    return ", ".join(f"{topic}/{number}" for topic, number in sorted(partitions)) or "nothing"
