"""A bounded queue, filled from any thread and emptied in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """A first-in, first-out queue that drops and counts items beyond its bound.

    It needs no lock, because operations of a deque are atomic. Each thread may exceed the bound by one.
    """

    def __init__(self, max_size: int) -> None:
        self._items: deque[T] = deque()
        self._max_size = max_size
        self.dropped = 0
        """Items beyond the bound, or refused by the collector."""
        self.sent = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Add an item; never blocks."""
        if len(self._items) >= self._max_size:
            self.dropped += 1
        else:
            self._items.append(item)

    def take(self, count: int) -> list[T]:
        """Take up to ``count`` of the oldest items."""
        taken: list[T] = []
        while len(taken) < count:
            try:
                taken.append(self._items.popleft())
            except IndexError:
                break
        return taken

    def give_back(self, items: Sequence[T]) -> None:
        """Put taken items back to the front; drop the newest without room."""
        room = max(0, self._max_size - len(self._items))
        self.dropped += max(0, len(items) - room)
        self._items.extendleft(reversed(items[:room]))
