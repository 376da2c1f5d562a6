"""Commit tracking against a naive model."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from corten.messages import CommitTracker, Partition
from corten.messages.commit_tracking import Unit

PARTITIONS: list[Partition] = [("a", 0), ("a", 1), ("b", 0)]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_commits_end_before_the_first_unfinished_unit(data: st.DataObject) -> None:
    """Compare random operations on partitions with a naive model."""
    tracker = CommitTracker()
    begun: dict[Partition, list[Unit]] = {}
    ends: dict[Partition, int] = {}
    committed: dict[Partition, int] = {}
    open_units: list[Unit] = []
    for _ in range(data.draw(st.integers(0, 60))):
        action = data.draw(st.sampled_from(["begin", "finish", "finish", "take", "fail", "lose"]))
        if action == "begin":
            partition = data.draw(st.sampled_from(PARTITIONS))
            ends[partition] = ends.get(partition, 0) + data.draw(st.integers(1, 5))
            unit = tracker.begin(partition, ends[partition])
            begun.setdefault(partition, []).append(unit)
            open_units.append(unit)
        elif action == "finish" and open_units:
            unit = open_units.pop(data.draw(st.integers(0, len(open_units) - 1)))
            tracker.finish(unit)
            tracker.finish(unit)
        elif action in ("take", "fail"):
            positions = tracker.take()
            for partition, position in positions.items():
                assert position > committed.get(partition, -1)
            if action == "fail":
                tracker.put_back(positions)
            else:
                committed.update(positions)
        elif action == "lose":
            partition = data.draw(st.sampled_from(PARTITIONS))
            tracker.forget(tracker.revoke([partition]))
            begun.pop(partition, None)
            committed.pop(partition, None)
        model: dict[Partition, int] = {}
        for partition, units in begun.items():
            for unit in units:
                if not unit.done:
                    break
                model[partition] = unit.end
        seen = {**committed, **tracker.take()}
        assert seen == model
        tracker.put_back({each: end for each, end in seen.items() if committed.get(each) != end})
        assert tracker.in_flight == sum(not unit.done for units in begun.values() for unit in units)


def test_a_partition_that_was_lost_and_came_back_begins_anew() -> None:
    tracker = CommitTracker()
    old = tracker.begin(("a", 0), 10)
    tracker.forget(tracker.revoke([("a", 0)]))
    new = tracker.begin(("a", 0), 5)
    tracker.finish(old)
    assert tracker.take() == {}
    tracker.finish(new)
    assert tracker.take() == {("a", 0): 5}


def test_a_failed_commit_does_not_overwrite_a_newer_position() -> None:
    tracker = CommitTracker()
    tracker.finish(tracker.begin(("a", 0), 1))
    taken = tracker.take()
    tracker.finish(tracker.begin(("a", 0), 2))
    tracker.put_back(taken)
    assert tracker.take() == {("a", 0): 2}


def test_a_position_from_before_a_partition_went_and_came_back_is_not_tried_again() -> None:
    tracker = CommitTracker()
    partition = ("t", 0)
    tracker.finish(tracker.begin(partition, 10))
    failing = tracker.take()
    tracker.forget(tracker.revoke([partition]))
    unit = tracker.begin(partition, 51)  # other consumers have committed up to 50
    tracker.put_back(failing)
    assert not tracker.has_changes
    tracker.finish(unit)
    assert tracker.take() == {partition: 51}
    tracker.put_back(failing)
    assert tracker.take() == {partition: 51}


def test_after_a_revocation_gaps_are_filled_and_no_later_unit_begins() -> None:
    tracker = CommitTracker()
    first, second, third = (tracker.begin(("a", 0), end) for end in (1, 2, 3))
    assignment = first.assignment
    assignment.started = second.end
    tracker.revoke([("a", 0)])
    assert not assignment.skips(first, stopping=False)
    assert assignment.skips(third, stopping=False)
    assert not assignment.is_finished
    tracker.finish(second)
    tracker.finish(first)
    assert assignment.is_finished
