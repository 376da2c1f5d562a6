"""A deterministic order by requirement, then by name."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T", bound=Hashable)


class Circle(ValueError):
    """Things require each other in a circle.

    :ivar members: those in the circle, each requiring the next, and the last the first
    """

    def __init__(self, members: Sequence[Any]) -> None:
        super().__init__(tuple(members))
        self.members = tuple(members)


def in_order(items: Iterable[T], requires: Mapping[T, Iterable[T]], name: Callable[[T], tuple[str, ...]]) -> list[T]:
    """Each item after all it requires; among those that could come next, the first by name.

    Kahn's algorithm with a heap (A. B. Kahn, "Topological sorting of large networks", CACM 5:11, 1962).

    :raises Circle: there is no such order
    """
    items = list(items)
    waits = {item: set(requires.get(item, ())) for item in items}
    heap = [(name(item), index) for index, item in enumerate(items) if not waits[item]]
    heapq.heapify(heap)
    ordered: list[T] = []
    while heap:
        done = items[heapq.heappop(heap)[1]]
        ordered.append(done)
        del waits[done]
        for index, item in enumerate(items):
            if done in waits.get(item, ()):
                waits[item].discard(done)
                if not waits[item]:
                    heapq.heappush(heap, (name(item), index))
    if waits:
        raise Circle(_circle(waits, name))
    return ordered


def _circle(waits: Mapping[T, set[T]], name: Callable[[T], tuple[str, ...]]) -> list[T]:
    path = [min(waits, key=name)]
    while True:
        following = min((each for each in waits[path[-1]] if each in waits), key=name)
        if following in path:
            return path[path.index(following) :]
        path.append(following)
