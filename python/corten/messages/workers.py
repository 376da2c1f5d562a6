"""Workers: each handles its messages one after the other, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import anyio

from corten.messages.commit_tracking import Assignment, CommitTracker, Unit
from corten.messages.handling import Handling
from corten.messages.message import Message

Work: TypeAlias = tuple[Sequence[Unit], Sequence[Message]]
"""Messages to be handled at once, and the units that they finish."""

_CHECKPOINT_EVERY = 64
"""Calls after which a worker lets other tasks run, for handlers that never suspend."""


class Signal:
    """Wakes waiters when something has changed; costs next to nothing without waiters."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Wake all waiters."""
        if self._event is not None:
            event, self._event = self._event, None
            event.set()

    async def wait(self) -> None:
        """Wait for the next :meth:`set`."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


class ConsumerState(Protocol):
    """State that the workers of a consumer share."""

    tracker: CommitTracker
    handling: Handling
    stopping: bool
    queued: int
    """Messages in the queues of all workers."""
    dequeued: Signal
    """Set when messages left a worker's queue."""
    progress: Signal
    """Set when units were finished or abandoned."""
    idle: Signal
    """Set when nothing is in flight."""


class Worker:
    """A queue, and the one task that empties it."""

    def __init__(self, state: ConsumerState, *, batch: bool) -> None:
        self._state = state
        self._queue: deque[Work] = deque()
        self._filled = Signal()
        self._closed = False
        self._handle = self._handle_batch if batch else self._handle_one

    def put(self, work: Work) -> None:
        """Add work at the end of the queue."""
        self._queue.append(work)
        self._state.queued += len(work[1])
        self._filled.set()

    def close(self) -> None:
        """Let :meth:`run` return when the queue is empty."""
        self._closed = True
        self._filled.set()

    async def run(self) -> None:
        """Handle work until the worker is closed and its queue empty."""
        from anyio.lowlevel import checkpoint

        state, queue = self._state, self._queue
        tracker = state.tracker
        calls = 0
        while True:
            if not queue:
                if self._closed:
                    return
                await self._filled.wait()
                continue
            work = queue.popleft()
            state.queued -= len(work[1])
            state.dequeued.set()
            await self._handle(*work)
            state.progress.set()
            if not tracker.in_flight:
                state.idle.set()
            calls += 1
            if calls % _CHECKPOINT_EVERY == 0:
                await checkpoint()

    async def _handle_one(self, units: Sequence[Unit], messages: Sequence[Message]) -> None:
        state = self._state
        (unit,) = units
        assignment = unit.assignment
        if assignment.skips(unit, state.stopping):
            return
        if unit.end > assignment.started:
            assignment.started = unit.end
        if await state.handling.handle_one(messages[0], _keeps(state, (assignment,))):
            state.tracker.finish(unit)
        else:
            assignment.abandoned = True

    async def _handle_batch(self, units: Sequence[Unit], messages: Sequence[Message]) -> None:
        """Handle a batch; continue without partitions revoked while it fails."""
        state = self._state
        while True:
            skipped = [unit for unit in units if unit.assignment.skips(unit, state.stopping)]
            if skipped:
                gone = {unit.assignment.partition for unit in skipped}
                units = [unit for unit in units if unit not in skipped]
                messages = [message for message in messages if (message.topic, message.partition) not in gone]
            if not units:
                return
            assignments = tuple(unit.assignment for unit in units)
            for unit in units:
                unit.assignment.started = max(unit.assignment.started, unit.end)
            if await state.handling.handle_batch(messages, _keeps(state, assignments)):
                for unit in units:
                    state.tracker.finish(unit)
                return
            for assignment in assignments:
                assignment.abandoned = assignment.abandoned or assignment.revoked or state.stopping
            state.progress.set()


def _keeps(state: ConsumerState, assignments: tuple[Assignment, ...]) -> Callable[[], bool]:
    """Return a function: whether this consumer still handles some partitions."""
    return lambda: not (state.stopping or any(assignment.revoked for assignment in assignments))
