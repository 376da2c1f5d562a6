"""A deterministic order by requirement, then by name."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

T = TypeVar("T", bound=Hashable)


class Circle(ValueError):
    """Items require each other in a circle.

    :ivar members: the items, each requiring the next, and the last one the first
    """

    def __init__(self, members: Sequence[Any]) -> None:
        super().__init__(tuple(members))
        self.members = tuple(members)


def in_order(items: Iterable[T], requires: Mapping[T, Iterable[T]], name: Callable[[T], tuple[str, ...]]) -> list[T]:
    """Order items so that each comes after all it requires; where several can come next, the first by name does.

    :raises Circle: items require each other in a circle
    """
    by_name = sorted(items, key=name)  # so that the same circle is found every time
    sorter = TopologicalSorter({item: sorted(requires.get(item, ()), key=name) for item in by_name})
    try:
        sorter.prepare()
    except CycleError as error:
        members: list[T] = error.args[1][:0:-1]  # graphlib lists the required item first, and the first one twice
        first = members.index(min(members, key=name))
        raise Circle((*members[first:], *members[:first])) from None
    ordered: list[T] = []
    ready: list[T] = []
    while sorter.is_active():
        ready = sorted((*ready, *sorter.get_ready()), key=name)
        ordered.append(ready.pop(0))
        sorter.done(ordered[-1])
    return ordered
