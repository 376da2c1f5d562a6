"""Dead letters in memory, for tests and programs without a database."""

from __future__ import annotations

import builtins
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from corten.dead_letters.letter import DeadLetter
from corten.errors import ResourceUnavailable

_OVERHEAD = 512
"""Rough memory of a letter in bytes, without value, key, headers and reason."""


class MemoryDeadLetterStatistics(msgspec.Struct, frozen=True):
    """Size of a :class:`MemoryDeadLetterStore`, and counts of letters that passed through."""

    letters: int
    bytes: int
    stored: int
    replayed: int
    purged: int
    refused: int
    """Calls of ``put`` that found the store full."""


class MemoryDeadLetterStore:
    """A bounded store that keeps letters until the process ends.

    :param max_letters: the most letters that may wait
    :param max_bytes: the most memory of all letters, in bytes, roughly
    """

    def __init__(self, *, max_letters: int = 10_000, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.max_letters = max_letters
        self.max_bytes = max_bytes
        self._letters: dict[tuple[str, str], DeadLetter] = {}
        self._bytes = 0
        self._stored = self._replayed = self._purged = self._refused = 0

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store all of the letters or none, as :meth:`DeadLetterStore.put` does."""
        new = {(letter.id, letter.source): letter for letter in letters}
        known = new.keys() & self._letters.keys()
        size = sum(_weight(letter) for letter in new.values()) - sum(_weight(self._letters[key]) for key in known)
        added = len(new) - len(known)
        if len(self._letters) + added > self.max_letters or self._bytes + size > self.max_bytes:
            self._refused += 1
            raise ResourceUnavailable(
                f"the dead-letter store in memory is full: {len(self._letters)} of at most {self.max_letters} letters, "
                f"{self._bytes} of at most {self.max_bytes} bytes; replay or purge some"
            )
        self._letters.update(new)
        self._bytes += size
        self._stored += added

    async def list(
        self, *, source: str | None = None, limit: int = 100, after: str | None = None
    ) -> builtins.list[DeadLetter]:
        """Return waiting letters with ids greater than ``after``, ordered by id."""
        keys = sorted(key for key in self._letters if source is None or key[1] == source)
        start = 0 if after is None else bisect_right(keys, after, key=lambda key: key[0])
        return [self._letters[key] for key in keys[start : start + limit]]

    async def count(self, *, source: str | None = None) -> int:
        """Count the waiting letters."""
        if source is None:
            return len(self._letters)
        return sum(letter.source == source for letter in self._letters.values())

    async def mark_replayed(self, letters: Sequence[DeadLetter]) -> int:
        """Drop replayed letters, except letters that have failed again."""
        count = 0
        for letter in letters:
            waiting = self._letters.get((letter.id, letter.source))
            if waiting is not None and waiting.failed_at == letter.failed_at:
                count += self._drop(letter.source, (letter.id,))
        self._replayed += count
        return count

    async def purge(self, source: str, ids: Sequence[str] | None = None) -> int:
        """Drop letters, all of the source by default; return their number."""
        if ids is None:
            ids = [letter.id for letter in self._letters.values() if letter.source == source]
        count = self._drop(source, ids)
        self._purged += count
        return count

    def statistics(self) -> MemoryDeadLetterStatistics:
        """Return the size of the store, and its counts."""
        return MemoryDeadLetterStatistics(
            len(self._letters), self._bytes, self._stored, self._replayed, self._purged, self._refused
        )

    def _drop(self, source: str, ids: Sequence[str]) -> int:
        count = 0
        for id_ in ids:
            letter = self._letters.pop((id_, source), None)
            if letter is not None:
                count += 1
                self._bytes -= _weight(letter)
        return count


def _weight(letter: DeadLetter) -> int:
    """Estimate the memory of a letter in bytes."""
    headers = sum(len(name) + len(value) for name, value in letter.headers)
    return _OVERHEAD + len(letter.value) + len(letter.key or b"") + headers + len(letter.reason)
