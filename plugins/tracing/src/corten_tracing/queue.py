"""What waits to be sent: bounded, filled from any thread, emptied in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """The oldest come first; what finds no room is dropped and counted.

    No lock: each operation of a deque is atomic, and the bound may be passed by as many as there are threads.
    """

    def __init__(self, max_size: int) -> None:
        self._items: deque[T] = deque()
        self._max_size = max_size
        self.dropped = 0
        """Items that found no room, or that the collector refused."""
        self.sent = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Add one; never blocks."""
        if len(self._items) >= self._max_size:
            self.dropped += 1
        else:
            self._items.append(item)

    def take(self, count: int) -> list[T]:
        """Up to ``count`` of the oldest."""
        taken: list[T] = []
        while len(taken) < count:
            try:
                taken.append(self._items.popleft())
            except IndexError:
                break
        return taken

    def give_back(self, items: Sequence[T]) -> None:
        """Put what was taken back to the front, as far as there is room; the newest of it is dropped."""
        room = max(0, self._max_size - len(self._items))
        self.dropped += max(0, len(items) - room)
        self._items.extendleft(reversed(items[:room]))
