"""Workers: messages that must stay in order share a lane, and a lane handles one thing after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import anyio

from corten.messages.commit_tracking import CommitTracker, Track, Unit
from corten.messages.handling import Handling
from corten.messages.message import Message

Work: TypeAlias = tuple[Sequence[Unit], Sequence[Message]]
"""Messages to be handled at once, and the units that they finish."""

_CHECKPOINT_EVERY = 64
"""Calls after which a lane lets others run, for handlers that never suspend."""


class Signal:
    """Wakes whoever waits for something to change; costs next to nothing while nobody waits."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Wake all who wait."""
        if self._event is not None:
            event, self._event = self._event, None
            event.set()

    async def wait(self) -> None:
        """Wait for the next :meth:`set`."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


class ConsumerState(Protocol):
    """What lanes share."""

    tracker: CommitTracker
    handling: Handling
    stopping: bool
    queued: int
    """Messages waiting in lanes."""
    room: Signal
    """Set when messages left a lane's queue."""
    progress: Signal
    """Set when units were finished or given up."""
    idle: Signal
    """Set when nothing is in flight."""


class Worker:
    """A queue and the one task that works on it."""

    def __init__(self, floor: ConsumerState, *, batch: bool) -> None:
        self._floor = floor
        self._queue: deque[Work] = deque()
        self._filled = Signal()
        self._closed = False
        self._handle = self._handle_many if batch else self._handle_one

    def put(self, work: Work) -> None:
        """Add work at the end."""
        self._queue.append(work)
        self._floor.queued += len(work[1])
        self._filled.set()

    def close(self) -> None:
        """Nothing more will be put: the lane ends when its queue is empty."""
        self._closed = True
        self._filled.set()

    async def run(self) -> None:
        """Handle what is put until the lane is closed."""
        from anyio.lowlevel import checkpoint

        floor, queue = self._floor, self._queue
        tracker = floor.tracker
        calls = 0
        while True:
            if not queue:
                if self._closed:
                    return
                await self._filled.wait()
                continue
            work = queue.popleft()
            floor.queued -= len(work[1])
            floor.room.set()
            await self._handle(*work)
            floor.progress.set()
            if not tracker.in_flight:
                floor.idle.set()
            calls += 1
            if calls % _CHECKPOINT_EVERY == 0:
                await checkpoint()

    async def _handle_one(self, units: Sequence[Unit], messages: Sequence[Message]) -> None:
        """Handle a message alone."""
        floor = self._floor
        (unit,) = units
        track = unit.track
        if track.leaves(unit, floor.stopping):
            return
        if unit.end > track.started:
            track.started = unit.end
        if await floor.handling.one(messages[0], _stays(floor, (track,))):
            floor.tracker.finish(unit)
        else:
            track.given_up = True

    async def _handle_many(self, units: Sequence[Unit], messages: Sequence[Message]) -> None:
        """Handle a batch; where some of its partitions go to somebody else while it fails, the rest goes on."""
        floor = self._floor
        while True:
            left = [unit for unit in units if unit.track.leaves(unit, floor.stopping)]
            if left:
                gone = {unit.track.partition for unit in left}
                units = [unit for unit in units if unit not in left]
                messages = [message for message in messages if (message.topic, message.partition) not in gone]
            if not units:
                return
            tracks = tuple(unit.track for unit in units)
            for unit in units:
                unit.track.started = max(unit.track.started, unit.end)
            if await floor.handling.many(messages, _stays(floor, tracks)):
                for unit in units:
                    floor.tracker.finish(unit)
                return
            for track in tracks:
                track.given_up = track.given_up or track.revoked or floor.stopping
            floor.progress.set()


def _stays(floor: ConsumerState, tracks: tuple[Track, ...]) -> Callable[[], bool]:
    """Whether messages of these tracks are still to be handled here, asked after a wait."""
    return lambda: not (floor.stopping or any(track.revoked for track in tracks))
