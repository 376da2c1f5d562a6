"""Where dead letters are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from corten.dead_letters.letter import DeadLetter


class DeadLetterStore(Protocol):
    """A bounded store that never evicts: a letter leaves it only by replay or purge."""

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store all or none of the letters; one whose source and id wait already, or were replayed, takes its place.

        :raises ResourceUnavailable: the store is full or can't be reached; nothing was stored
        """
        ...

    async def list(
        self, *, source: str | None = None, limit: int = 100, after: str | None = None
    ) -> Sequence[DeadLetter]:
        """The letters that wait, ordered by id, from the one after ``after``.

        Pages are of one source: ids are unique within it, and two sources may hold letters of one message.
        """
        ...

    async def count(self, *, source: str | None = None) -> int:
        """How many letters wait."""
        ...

    async def mark_replayed(self, letters: Sequence[DeadLetter]) -> int:
        """Note that letters, as :meth:`list` gave them, were sent again; they no longer wait. Returns how many.

        One with another ``failed_at`` by now has failed once more already, and waits on: noting its first replay would
        lose its second failure.
        """
        ...

    async def purge(self, source: str, ids: Sequence[str] | None = None) -> int:
        """Drop letters for good, all of the source where no ids are named. Returns how many there were."""
        ...
