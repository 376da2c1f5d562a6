"""Which offsets may be committed: for each partition, all up to the first message that is not finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from corten.messages.source import Partition


class Unit:
    """One message, or a run of messages of one partition that is handled at once."""

    __slots__ = ("done", "end", "track")

    def __init__(self, track: Track, end: int) -> None:
        self.track = track
        self.end = end
        """The offset after its last message."""
        self.done = False


class Track:
    """One partition for as long as it is assigned; a new assignment begins a new track."""

    __slots__ = ("given_up", "outstanding", "partition", "position", "revoked", "started")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.outstanding: deque[Unit] = deque()
        """The units that hold the position back, in order of their offsets."""
        self.position = -1
        """The next offset to commit; -1 until something was finished."""
        self.started = -1
        """The end of the furthest unit that was started."""
        self.revoked = False
        """Whether the partition goes to somebody else: nothing beyond ``started`` is begun."""
        self.given_up = False
        """Whether the partition is gone, or what was started of it will not be finished."""

    @property
    def settled(self) -> bool:
        """Whether all that was started is finished, or will never be."""
        return self.given_up or self.position >= self.started

    def leaves(self, unit: Unit, stopping: bool) -> bool:
        """Whether a unit is left to whoever reads the partition next.

        A gap below what was started is still filled: otherwise everything after the gap would be handled twice.
        """
        if unit.end <= self.started:
            return self.given_up
        return stopping or self.revoked


class CommitTracker:
    """Follows the units of all partitions and says what to commit."""

    def __init__(self) -> None:
        self._tracks: dict[Partition, Track] = {}
        self._changed: dict[Partition, int] = {}
        self.in_flight = 0
        """Units begun and neither finished nor forgotten."""

    def begin(self, partition: Partition, end: int) -> Unit:
        """Note a unit that ends before offset ``end``; units of a partition begin in the order of their offsets."""
        track = self._tracks.get(partition)
        if track is None:
            track = self._tracks[partition] = Track(partition)
        unit = Unit(track, end)
        track.outstanding.append(unit)
        self.in_flight += 1
        return unit

    def finish(self, unit: Unit) -> None:
        """Note that a unit was handled, or its dead letter stored; a second time changes nothing."""
        if unit.done:
            return
        unit.done = True
        track = unit.track
        if self._tracks.get(track.partition) is not track:
            return  # the partition went away meanwhile: whoever has it now commits
        self.in_flight -= 1
        outstanding = track.outstanding
        if outstanding[0] is unit:
            while outstanding and outstanding[0].done:
                track.position = outstanding.popleft().end
            self._changed[track.partition] = track.position

    @property
    def has_changes(self) -> bool:
        """Whether there is something to commit."""
        return bool(self._changed)

    def take(self) -> dict[Partition, int]:
        """The positions that moved since they were last taken."""
        changed, self._changed = self._changed, {}
        return changed

    def put_back(self, positions: Iterable[Partition]) -> None:
        """Have partitions whose positions could not be committed tried again, those of forgotten ones left out.

        What is tried is where the partition stands by then: one that went and came back meanwhile has a new track, and
        the old position would undo what others have committed in between.
        """
        for partition in positions:
            track = self._tracks.get(partition)
            if track is not None and track.position >= 0:
                self._changed.setdefault(partition, track.position)

    def revoke(self, partitions: Iterable[Partition]) -> list[Track]:
        """Begin nothing more of these partitions; returns the tracks of those that have one."""
        tracks = [self._tracks[partition] for partition in partitions if partition in self._tracks]
        for track in tracks:
            track.revoked = True
        return tracks

    def forget(self, tracks: Iterable[Track]) -> None:
        """Drop tracks whose partitions are gone; what is still finished of them changes nothing any more."""
        for track in tracks:
            track.revoked = track.given_up = True
            if self._tracks.get(track.partition) is track:
                del self._tracks[track.partition]
                self._changed.pop(track.partition, None)
                self.in_flight -= sum(not unit.done for unit in track.outstanding)
