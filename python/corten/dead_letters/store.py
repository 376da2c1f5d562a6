"""The protocol of stores of dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from corten.dead_letters.letter import DeadLetter


class DeadLetterStore(Protocol):
    """A bounded store that drops letters only by replay or purge."""

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store all of the letters or none.

        A letter replaces a stored letter with its source and id, even a replayed letter.

        :raises ResourceUnavailable: the store is full or can't be reached; it stored nothing
        """
        ...

    async def list(
        self, *, source: str | None = None, limit: int = 100, after: str | None = None
    ) -> Sequence[DeadLetter]:
        """Return waiting letters with ids greater than ``after``, ordered by id.

        Page through one source at a time: ids are unique within a source only.
        """
        ...

    async def count(self, *, source: str | None = None) -> int:
        """Count the waiting letters."""
        ...

    async def mark_replayed(self, letters: Sequence[DeadLetter]) -> int:
        """Mark listed letters as replayed; return their number.

        A stored letter with another ``failed_at`` has failed again, and keeps waiting.
        """
        ...

    async def purge(self, source: str, ids: Sequence[str] | None = None) -> int:
        """Drop letters, all of the source by default; return their number."""
        ...
