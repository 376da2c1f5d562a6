"""Runs a consumer: receives, distributes to workers, commits, releases revoked partitions."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio

from corten.clock import Clock
from corten.dead_letters.store import DeadLetterStore
from corten.events import Event
from corten.health.check import Finding
from corten.messages.backoff import Backoff, backoff_seconds
from corten.messages.commit_tracking import CommitTracker
from corten.messages.consumer import Consumer, handler_shape
from corten.messages.handling import Handling, ObserveMessage
from corten.messages.message import Message
from corten.messages.source import MessageSource, Partition, Source, Subscription
from corten.messages.statistics import ConsumerCounts, ConsumerStatistics
from corten.messages.workers import Signal, Worker
from corten.metrics import Registry

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

_log = logging.getLogger("corten.messages")

_FETCH = 500
"""Messages received at once where the handler takes one at a time."""

_COMMIT_INTERVAL = 0.1
"""Seconds between two commits while messages keep coming; when nothing is in flight a commit follows at once."""


class ConsumerRunner:
    """Runs one consumer; :meth:`run` may be called again after it raised.

    :param store: keeps dead letters
    :param emit: receives events: dead letters, fetching pauses, fetching resumes
    :param observers: context managers around the handling of messages
    :param on_error: receives ``consumer NAME`` and the error of each message that failed for good
    """

    def __init__(
        self,
        consumer: Consumer,
        source: MessageSource,
        *,
        store: DeadLetterStore,
        clock: Clock,
        registry: Registry | None = None,
        emit: Callable[[Event], object] = lambda _: None,
        observers: Sequence[ObserveMessage] = (),
        on_error: Callable[[str, Exception], object] = lambda _name, _error: None,
    ) -> None:
        self.consumer = consumer
        self._source = source
        self._store = store
        self._clock = clock
        self._emit = emit
        self._observers = tuple(observers)
        self._on_error = on_error
        self._counts = ConsumerCounts(consumer.name, registry)
        handler_shape(consumer)  # a wrong handler raises now, not at the first message
        self._open: _OpenSubscription | None = None
        self._stopping = False

    async def run(self) -> None:
        """Consume until :meth:`stop`, or until the source ends.

        :raises ResourceUnavailable: the source can't be reached
        :raises MessageError: a message failed for good and the consumer keeps no dead letters
        """
        consumer = self.consumer
        wanted = Subscription(tuple(consumer.topics), consumer.group_name, _max_queued(consumer))
        if self._stopping:
            return
        run: _OpenSubscription | None = None

        async def revoke(partitions: frozenset[Partition]) -> None:
            if run is not None:
                await run.revoke(partitions)

        async with self._source.open(wanted, revoke) as source:
            backoff = Backoff(f"consumer {consumer.name}", self._clock, self._emit, source)
            handling = Handling(
                consumer,
                store=self._store,
                backoff=backoff,
                clock=self._clock,
                counts=self._counts,
                emit=self._emit,
                observers=self._observers,
                on_error=self._on_error,
            )
            run = self._open = _OpenSubscription(consumer, source, handling, backoff, self._clock)
            run.stopping = self._stopping
            try:
                await run.run()
            finally:
                self._open = None

    async def stop(self) -> None:
        """Take no more messages; :meth:`run` returns after the last commit."""
        self._stopping = True
        if self._open is not None:
            self._open.stop()

    async def check(self) -> Finding:
        """Return the health of the consumer: degraded while fetching is paused."""
        if self._open is None:
            return Finding("down", "not consuming")
        if reason := self._open.backoff.reason:
            return Finding("degraded", reason)
        return Finding("up")

    def statistics(self) -> ConsumerStatistics:
        """Return the counts so far."""
        run, counts = self._open, self._counts
        return ConsumerStatistics(
            counts.handled,
            counts.dead_lettered,
            counts.retries,
            0 if run is None else run.tracker.in_flight,
            "" if run is None else run.backoff.reason,
        )


class _OpenSubscription:
    """One subscription from opening its source to closing it."""

    def __init__(self, consumer: Consumer, source: Source, handling: Handling, backoff: Backoff, clock: Clock) -> None:
        self.tracker = CommitTracker()
        self.handling = handling
        self.backoff = backoff
        self.stopping = False
        self.queued = 0
        self.dequeued = Signal()
        self.progress = Signal()
        self.idle = Signal()
        self._consumer = consumer
        self._source = source
        self._clock = clock
        self._workers = [Worker(self, batch=consumer.batch is not None) for _ in range(consumer.concurrency)]
        self._intake = anyio.CancelScope()
        self._committing = anyio.Lock()
        self._failure: Exception | None = None
        self._ended = False
        self._max_queued = _max_queued(consumer)

    async def run(self) -> None:
        """Receive and handle until stopped; then finish started messages and commit."""
        try:
            async with anyio.create_task_group() as committer:
                committer.start_soon(self._commit_as_it_goes)
                async with anyio.create_task_group() as group:
                    for worker in self._workers:
                        group.start_soon(self._run_part, worker.run, group)
                    with self._intake:
                        if not self.stopping:
                            await self._run_part(self._receive, group)
                    for worker in self._workers:
                        worker.close()
                committer.cancel_scope.cancel()
            if self._failure is None:
                await self._commit_persistently()
            else:
                await self._commit_once()
                raise self._failure
        finally:
            self._ended = True
            self.progress.set()

    def stop(self) -> None:
        self.stopping = True
        self._intake.cancel()
        self.backoff.interrupt()

    async def revoke(self, partitions: frozenset[Partition]) -> None:
        """Finish and commit started messages of partitions, within a time limit."""
        assignments = self.tracker.revoke(partitions)
        if not assignments:
            return
        self.backoff.interrupt()
        with self._clock.move_on_after(self._consumer.finish_within) as limit:
            while not (self._ended or all(each.is_finished for each in assignments)):
                await self.progress.wait()
            await self._commit_once()
        if limit.cancelled_caught:
            _log.warning(
                "consumer %r: %s went to another consumer after %g s, with messages unfinished; they come again",
                self._consumer.name,
                _names(partitions),
                self._consumer.finish_within,
            )
        self.tracker.forget(assignments)

    async def _receive(self) -> None:
        """Receive batches and give them to workers, while the queues have room."""
        distribute = self._distribute_batch if self._consumer.batch is not None else self._distribute_singly
        while True:
            while self.queued >= self._max_queued:
                await self.dequeued.wait()
            messages = await self._source.receive()
            if not messages:
                return
            distribute(messages)

    def _distribute_singly(self, messages: Sequence[Message]) -> None:
        """Begin a unit for each message; equal keys go to one worker."""
        begin, workers = self.tracker.begin, self._workers
        count = len(workers)
        for message in messages:
            unit = begin((message.topic, message.partition), message.offset + 1)
            if count == 1:
                worker = workers[0]
            else:
                worker = workers[(message.offset if message.key is None else hash(message.key)) % count]
            worker.put(((unit,), (message,)))

    def _distribute_batch(self, messages: Sequence[Message]) -> None:
        """Begin a unit for each partition; each partition goes to one worker."""
        if len(self._workers) == 1:
            self._put_batches(self._workers[0], messages)
            return
        parts: dict[int, list[Message]] = {}
        for message in messages:
            parts.setdefault((hash(message.topic) + message.partition) % len(self._workers), []).append(message)
        for number, part in parts.items():
            self._put_batches(self._workers[number], part)

    def _put_batches(self, worker: Worker, messages: Sequence[Message]) -> None:
        """Give messages to a worker in batches of the handler's size."""
        size = self._consumer.batch or 1
        for start in range(0, len(messages), size):
            batch = messages if len(messages) <= size else messages[start : start + size]
            ends = {(message.topic, message.partition): message.offset + 1 for message in batch}
            worker.put(([self.tracker.begin(partition, end) for partition, end in ends.items()], batch))

    async def _run_part(self, part: Callable[[], Awaitable[None]], group: TaskGroup) -> None:
        """Run a part; its error ends the other parts.

        :meth:`run` raises the error itself, not a group.
        """
        try:
            await part()
        except Exception as error:  # noqa: BLE001 - raised again when the workers have ended
            self._failure = self._failure or error
            group.cancel_scope.cancel()

    async def _commit_as_it_goes(self) -> None:
        """Commit finished positions, once an interval while messages are in flight."""
        failures = 0
        while True:
            while not self.tracker.has_changes:
                await self.progress.wait()
            next_commit = self._clock.now() + _COMMIT_INTERVAL
            while self.tracker.in_flight and self._clock.now() < next_commit:
                with self._clock.move_on_at(next_commit):
                    await self.idle.wait()
            try:
                await self._commit()
                failures = 0
            except Exception as error:  # noqa: BLE001 - the positions were put back, whatever the source raises
                failures += 1
                _log.warning("consumer %r: commit failed, trying again: %r", self._consumer.name, error)
                await self._clock.sleep(backoff_seconds(failures, error))

    async def _commit_persistently(self) -> None:
        """Commit the last positions, repeatedly until it works or the caller cancels."""
        failures = 0
        while True:
            try:
                return await self._commit()
            except Exception as error:  # noqa: BLE001 - the shutdown deadline ends the repetition
                failures += 1
                _log.warning("consumer %r: last commit failed, trying again: %r", self._consumer.name, error)
                await self._clock.sleep(backoff_seconds(failures, error))

    async def _commit_once(self) -> None:
        """Try to commit once; on failure the messages come again."""
        try:
            await self._commit()
        except Exception as error:  # noqa: BLE001 - whatever the source raises
            _log.warning("consumer %r: last commit failed, messages come again: %r", self._consumer.name, error)

    async def _commit(self) -> None:
        """Commit positions that moved; on failure keep them for later."""
        async with self._committing:
            positions: Mapping[Partition, int] = self.tracker.take()
            if not positions:
                return
            try:
                await self._source.commit(positions)
            except BaseException:
                self.tracker.put_back(positions)
                raise


def _max_queued(consumer: Consumer) -> int:
    return consumer.batch * consumer.concurrency if consumer.batch else _FETCH


def _names(partitions: frozenset[Partition]) -> str:
    return ", ".join(f"{topic}/{number}" for topic, number in sorted(partitions))
