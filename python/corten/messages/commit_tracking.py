"""Commit tracking: per partition, the offset before which all messages are finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from corten.messages.source import Partition


class Unit:
    """One message, or consecutive messages of a partition handled at once."""

    __slots__ = ("assignment", "done", "end")

    def __init__(self, assignment: Assignment, end: int) -> None:
        self.assignment = assignment
        self.end = end
        """The offset after its last message."""
        self.done = False


class Assignment:
    """One partition while it is assigned to this consumer.

    A partition that comes back later gets a new assignment.
    """

    __slots__ = ("abandoned", "outstanding", "partition", "position", "revoked", "started")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.outstanding: deque[Unit] = deque()
        """The units that hold the position back, in order of their offsets."""
        self.position = -1
        """The next offset to commit; -1 until a unit was finished."""
        self.started = -1
        """The end of the furthest unit that was started."""
        self.revoked = False
        """Whether the partition goes to another consumer: no unit beyond ``started`` is begun."""
        self.abandoned = False
        """Whether started units will never be finished: the partition is gone, or their handling was left."""

    @property
    def is_finished(self) -> bool:
        """Whether each started unit is finished or abandoned."""
        return self.abandoned or self.position >= self.started

    def skips(self, unit: Unit, stopping: bool) -> bool:
        """Return whether a unit is left to the partition's next consumer.

        A unit below ``started`` is still handled: otherwise all units after it would be handled twice.
        """
        if unit.end <= self.started:
            return self.abandoned
        return stopping or self.revoked


class CommitTracker:
    """Follows the units of all partitions, and says which offsets to commit."""

    def __init__(self) -> None:
        self._assignments: dict[Partition, Assignment] = {}
        self._changed: dict[Partition, int] = {}
        self.in_flight = 0
        """Units begun and neither finished nor forgotten."""

    def begin(self, partition: Partition, end: int) -> Unit:
        """Begin a unit that ends before offset ``end``.

        Units of a partition begin in the order of their offsets.
        """
        assignment = self._assignments.get(partition)
        if assignment is None:
            assignment = self._assignments[partition] = Assignment(partition)
        unit = Unit(assignment, end)
        assignment.outstanding.append(unit)
        self.in_flight += 1
        return unit

    def finish(self, unit: Unit) -> None:
        """Mark a unit as handled or dead-lettered; a second call changes nothing."""
        if unit.done:
            return
        unit.done = True
        assignment = unit.assignment
        if self._assignments.get(assignment.partition) is not assignment:
            return  # the partition has gone to another consumer, which commits
        self.in_flight -= 1
        outstanding = assignment.outstanding
        if outstanding[0] is unit:
            while outstanding and outstanding[0].done:
                assignment.position = outstanding.popleft().end
            self._changed[assignment.partition] = assignment.position

    @property
    def has_changes(self) -> bool:
        """Whether there is a position to commit."""
        return bool(self._changed)

    def take(self) -> dict[Partition, int]:
        """Return the positions that moved since the last call."""
        changed, self._changed = self._changed, {}
        return changed

    def put_back(self, positions: Iterable[Partition]) -> None:
        """Return partitions whose commit failed; forgotten ones are left out.

        The next commit uses the current position. A partition that went away and came back has a new assignment: its
        old position would undo what other consumers have committed in between.
        """
        for partition in positions:
            assignment = self._assignments.get(partition)
            if assignment is not None and assignment.position >= 0:
                self._changed.setdefault(partition, assignment.position)

    def revoke(self, partitions: Iterable[Partition]) -> list[Assignment]:
        """Begin no more units of some partitions; return the assignments among them."""
        found = [self._assignments[partition] for partition in partitions if partition in self._assignments]
        for assignment in found:
            assignment.revoked = True
        return found

    def forget(self, assignments: Iterable[Assignment]) -> None:
        """Drop assignments whose partitions are gone; units that finish later change nothing."""
        for assignment in assignments:
            assignment.revoked = assignment.abandoned = True
            if self._assignments.get(assignment.partition) is assignment:
                del self._assignments[assignment.partition]
                self._changed.pop(assignment.partition, None)
                self.in_flight -= sum(not unit.done for unit in assignment.outstanding)
