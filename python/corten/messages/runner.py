"""Runs a consumer: receives, hands out to lanes, commits, and lets go of partitions in good order."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio

from corten.clock import Clock
from corten.dead_letters.store import DeadLetterStore
from corten.events import Event
from corten.health.check import Finding
from corten.messages.accounting import Accounting, ConsumerStatistics
from corten.messages.backoff import Backoff
from corten.messages.commit_tracking import CommitTracker
from corten.messages.consumer import Consumer, handler_shape
from corten.messages.failures import wait_before
from corten.messages.handling import Handling, ObserveMessage
from corten.messages.message import Message
from corten.messages.source import MessageSource, Partition, Source, Subscription
from corten.messages.workers import Signal, Worker
from corten.metrics import Registry

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

_log = logging.getLogger("corten.messages")

_FETCH = 500
"""Messages received at once where the handler takes one at a time."""

_COMMIT_INTERVAL = 0.1
"""Seconds between two commits while messages keep coming; as soon as nothing is in flight there is one at once."""


class ConsumerRunner:
    """Runs one consumer, again and again where its source fails: :meth:`run` may be called anew after it raised.

    :param source: where the messages come from
    :param store: where dead letters go
    :param emit: told of dead letters, and when the consumer can't go on and can again
    :param observers: surround the handling of messages
    :param on_error: told of each message that failed for good, with ``consumer`` and its name
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
        self._accounting = Accounting(consumer.name, registry)
        handler_shape(consumer)  # says now, not at the first message, what is wrong with the handler
        self._run: _Run | None = None
        self._stopping = False

    async def run(self) -> None:
        """Consume until :meth:`stop`, or until the source ends.

        :raises ResourceUnavailable: the source can't be reached
        :raises MessageError: a message failed for good and the consumer keeps no dead letters
        """
        consumer = self.consumer
        wanted = Subscription(
            tuple(consumer.topics), consumer.group_name, (consumer.batch or _FETCH) * self._lanes_of_batches()
        )
        if self._stopping:
            return
        run: _Run | None = None

        async def revoke(partitions: frozenset[Partition]) -> None:
            if run is not None:
                await run.revoke(partitions)

        async with self._source.open(wanted, revoke) as source:
            stall = Backoff(f"consumer {consumer.name}", self._clock, self._emit, source)
            handling = Handling(
                consumer,
                store=self._store,
                stall=stall,
                clock=self._clock,
                accounting=self._accounting,
                emit=self._emit,
                observers=self._observers,
                on_error=self._on_error,
            )
            run = self._run = _Run(consumer, source, handling, stall, self._clock)
            run.stopping = self._stopping
            try:
                await run.run()
            finally:
                self._run = None

    async def stop(self) -> None:
        """Take no more messages; :meth:`run` returns when those begun are handled and committed."""
        self._stopping = True
        if self._run is not None:
            self._run.stop()

    async def check(self) -> Finding:
        """For health: degraded where the consumer can't go on for now."""
        if self._run is None:
            return Finding("down", "not consuming")
        if reason := self._run.stall.reason:
            return Finding("degraded", reason)
        return Finding("up")

    def statistics(self) -> ConsumerStatistics:
        """What became of the messages so far."""
        run, counts = self._run, self._accounting
        return ConsumerStatistics(
            counts.handled,
            counts.dead_lettered,
            counts.retries,
            0 if run is None else run.tracker.in_flight,
            "" if run is None else run.stall.reason,
        )

    def _lanes_of_batches(self) -> int:
        return self.consumer.concurrency if self.consumer.batch is not None else 1


class _Run:
    """One opened subscription: from opening the source to closing it."""

    def __init__(self, consumer: Consumer, source: Source, handling: Handling, stall: Backoff, clock: Clock) -> None:
        self.tracker = CommitTracker()
        self.handling = handling
        self.stall = stall
        self.stopping = False
        self.queued = 0
        self.room = Signal()
        self.progress = Signal()
        self.idle = Signal()
        self._consumer = consumer
        self._source = source
        self._clock = clock
        self._lanes = [Worker(self, batch=consumer.batch is not None) for _ in range(consumer.concurrency)]
        self._intake = anyio.CancelScope()
        self._committing = anyio.Lock()
        self._failure: Exception | None = None
        self._ended = False
        self._max_queued = consumer.batch * consumer.concurrency if consumer.batch else _FETCH

    async def run(self) -> None:
        """Receive and handle until stopped, then finish what was begun and commit it."""
        try:
            async with anyio.create_task_group() as committer:
                committer.start_soon(self._commit_as_it_goes)
                async with anyio.create_task_group() as lanes:
                    for lane in self._lanes:
                        lanes.start_soon(self._guard, lane.run, lanes)
                    with self._intake:
                        if not self.stopping:
                            await self._guard(self._receive, lanes)
                    for lane in self._lanes:
                        lane.close()
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
        """Begin nothing more."""
        self.stopping = True
        self._intake.cancel()
        self.stall.disturb()

    async def revoke(self, partitions: frozenset[Partition]) -> None:
        """Finish what was begun of some partitions, within bounds, commit it, and forget them."""
        tracks = self.tracker.revoke(partitions)
        if not tracks:
            return
        self.stall.disturb()
        with self._clock.move_on_after(self._consumer.finish_within) as bound:
            while not (self._ended or all(track.settled for track in tracks)):
                await self.progress.wait()
            await self._commit_once()
        if bound.cancelled_caught:
            _log.warning(
                "consumer %r: %s went to another consumer with messages still in hand after %g s; they come again",
                self._consumer.name,
                _names(partitions),
                self._consumer.finish_within,
            )
        self.tracker.forget(tracks)

    async def _receive(self) -> None:
        """Take batches from the source and hand them out, as long as there is room."""
        hand_out = self._hand_out_batch if self._consumer.batch is not None else self._hand_out_singly
        while True:
            while self.queued >= self._max_queued:
                await self.room.wait()
            messages = await self._source.receive()
            if not messages:
                return
            hand_out(messages)

    def _hand_out_singly(self, messages: Sequence[Message]) -> None:
        """One unit for each message; equal keys to the same lane."""
        begin, lanes = self.tracker.begin, self._lanes
        count = len(lanes)
        for message in messages:
            unit = begin((message.topic, message.partition), message.offset + 1)
            if count == 1:
                lane = lanes[0]
            else:
                lane = lanes[(message.offset if message.key is None else hash(message.key)) % count]
            lane.put(((unit,), (message,)))

    def _hand_out_batch(self, messages: Sequence[Message]) -> None:
        """One unit for each partition in a batch; a partition always to the same lane."""
        if len(self._lanes) == 1:
            self._put_batches(self._lanes[0], messages)
            return
        parts: dict[int, list[Message]] = {}
        for message in messages:
            parts.setdefault((hash(message.topic) + message.partition) % len(self._lanes), []).append(message)
        for number, part in parts.items():
            self._put_batches(self._lanes[number], part)

    def _put_batches(self, lane: Worker, messages: Sequence[Message]) -> None:
        """Put messages on a lane in batches as large as the handler takes them."""
        size = self._consumer.batch or 1
        for start in range(0, len(messages), size):
            batch = messages if len(messages) <= size else messages[start : start + size]
            ends = {(message.topic, message.partition): message.offset + 1 for message in batch}
            lane.put(([self.tracker.begin(partition, end) for partition, end in ends.items()], batch))

    async def _guard(self, run: Callable[[], Awaitable[None]], lanes: TaskGroup) -> None:
        """Run a part; its failure ends the others and is raised by :meth:`run` as it is, not in a group."""
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - raised again when the lanes have ended
            self._failure = self._failure or error
            lanes.cancel_scope.cancel()

    async def _commit_as_it_goes(self) -> None:
        """Commit what is finished, at most once an interval while there is more in flight."""
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
            except Exception as error:  # noqa: BLE001 - whatever the source raises: positions were put back
                failures += 1
                _log.warning("consumer %r: commit failed, trying again: %r", self._consumer.name, error)
                await self._clock.sleep(wait_before(failures, error))

    async def _commit_persistently(self) -> None:
        """Commit the last positions, again and again until it works or the caller's time is up."""
        failures = 0
        while True:
            try:
                return await self._commit()
            except Exception as error:  # noqa: BLE001 - the deadline of the shutdown bounds this
                failures += 1
                _log.warning("consumer %r: last commit failed, trying again: %r", self._consumer.name, error)
                await self._clock.sleep(wait_before(failures, error))

    async def _commit_once(self) -> None:
        """Commit if that is possible: otherwise the messages come again, and at least once still holds."""
        try:
            await self._commit()
        except Exception as error:  # noqa: BLE001 - whatever the source raises
            _log.warning("consumer %r: last commit failed, messages come again: %r", self._consumer.name, error)

    async def _commit(self) -> None:
        """Commit what has changed; what could not be committed stays for the next time."""
        async with self._committing:
            positions: Mapping[Partition, int] = self.tracker.take()
            if not positions:
                return
            done = False
            try:
                await self._source.commit(positions)
                done = True
            finally:
                if not done:
                    self.tracker.put_back(positions)


def _names(partitions: frozenset[Partition]) -> str:
    return ", ".join(f"{topic}/{number}" for topic, number in sorted(partitions))
