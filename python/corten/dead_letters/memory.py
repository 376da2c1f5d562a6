"""Dead letters in this process's memory: for tests, and for programs without a database."""

from __future__ import annotations

import builtins
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from corten.dead_letters.letter import DeadLetter
from corten.errors import ResourceUnavailable

_OVERHEAD = 512
"""Roughly what a letter weighs in bytes beside its value, key and headers."""


class MemoryDeadLetterStatistics(msgspec.Struct, frozen=True):
    """How full a :class:`MemoryDeadLetterStore` is, and what passed through it."""

    letters: int
    bytes: int
    stored: int
    replayed: int
    purged: int
    refused: int
    """Calls of ``put`` that found the store full."""


class MemoryDeadLetterStore:
    """Keeps letters until they are replayed or purged, or the process ends. When it is full it refuses.

    :param max_letters: how many letters may wait
    :param max_bytes: how much memory they may take, in bytes, roughly
    """

    def __init__(self, *, max_letters: int = 10_000, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.max_letters = max_letters
        self.max_bytes = max_bytes
        self._letters: dict[tuple[str, str], DeadLetter] = {}
        self._bytes = 0
        self._stored = self._replayed = self._purged = self._refused = 0

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store all or none of the letters; one whose source and id wait already takes its place.

        :raises ResourceUnavailable: the store would be fuller than it may be; nothing was stored
        """
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
        """The letters that wait, ordered by id, from the one after ``after``."""
        keys = sorted(key for key in self._letters if source is None or key[1] == source)
        start = 0 if after is None else bisect_right(keys, after, key=lambda key: key[0])
        return [self._letters[key] for key in keys[start : start + limit]]

    async def count(self, *, source: str | None = None) -> int:
        """How many letters wait."""
        if source is None:
            return len(self._letters)
        return sum(letter.source == source for letter in self._letters.values())

    async def mark_replayed(self, letters: Sequence[DeadLetter]) -> int:
        """Drop letters that were sent again, but for those that have failed once more already."""
        count = 0
        for letter in letters:
            waiting = self._letters.get((letter.id, letter.source))
            if waiting is not None and waiting.failed_at == letter.failed_at:
                count += self._drop(letter.source, (letter.id,))
        self._replayed += count
        return count

    async def purge(self, source: str, ids: Sequence[str] | None = None) -> int:
        """Drop letters for good, all of the source where no ids are named. Returns how many there were."""
        if ids is None:
            ids = [letter.id for letter in self._letters.values() if letter.source == source]
        count = self._drop(source, ids)
        self._purged += count
        return count

    def statistics(self) -> MemoryDeadLetterStatistics:
        """How full it is, and what passed through."""
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
    """Bytes of memory, roughly."""
    headers = sum(len(name) + len(value) for name, value in letter.headers)
    return _OVERHEAD + len(letter.value) + len(letter.key or b"") + headers + len(letter.reason)
