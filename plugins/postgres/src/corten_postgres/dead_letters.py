"""Dead letters in PostgreSQL: one table, written by one statement, never evicted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from corten.dead_letters import DeadLetter
from corten.errors import ResourceUnavailable
from corten_postgres.errors import QueryError
from corten_postgres.postgres import Postgres

SCHEMA: Final = """
create table if not exists corten_dead_letters (
    source text not null,
    id text not null,
    topic text not null,
    message_partition integer not null,
    message_offset bigint not null,
    key bytea,
    value bytea not null,
    headers jsonb not null,
    cause text not null,
    reason text not null,
    attempts integer not null check (attempts >= 0),
    failed_at timestamptz not null,
    stored_at timestamptz not null default now(),
    replayed_at timestamptz,
    primary key (source, id)
);
create index if not exists corten_dead_letters_waiting on corten_dead_letters (id, source) where replayed_at is null;
create index if not exists corten_dead_letters_cause on corten_dead_letters (source, cause) where replayed_at is null;
create index if not exists corten_dead_letters_failed on corten_dead_letters (failed_at)
"""
"""The table, for migrations of the user's own: headers hold their values as base64."""

# Starting processes together would otherwise meet inside of "if not exists", which two can pass at once.
_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended('corten_dead_letters', 0))"

# A letter that failed once more takes the place of the one that waits or was replayed.
_PUT: Final = """
insert into corten_dead_letters (source, id, topic, message_partition, message_offset, key, value, headers, cause,
                                 reason, attempts, failed_at)
select source, id, topic, message_partition, message_offset, key, value, headers::jsonb, cause, reason, attempts,
       failed_at
from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::bytea[], $7::bytea[], $8::text[],
            $9::text[], $10::text[], $11::int[], $12::timestamptz[])
     as new(source, id, topic, message_partition, message_offset, key, value, headers, cause, reason, attempts,
            failed_at)
on conflict (source, id) do update
set topic = excluded.topic, message_partition = excluded.message_partition, message_offset = excluded.message_offset,
    key = excluded.key, value = excluded.value, headers = excluded.headers, cause = excluded.cause,
    reason = excluded.reason, attempts = excluded.attempts, failed_at = excluded.failed_at,
    stored_at = now(), replayed_at = null
"""

_REPLAYED: Final = """
update corten_dead_letters as stored set replayed_at = now()
from unnest($1::text[], $2::text[], $3::timestamptz[]) as sent(source, id, failed_at)
where stored.source = sent.source and stored.id = sent.id and stored.failed_at = sent.failed_at
      and stored.replayed_at is null
"""

_LIST: Final = """
select source, id, topic, message_partition, message_offset, key, value, headers, cause, reason, attempts,
       extract(epoch from failed_at)::float8 as failed_at
from corten_dead_letters
where replayed_at is null and ($1::text is null or source = $1) and ($2::text is null or id > $2)
order by id, source
limit $3
"""
ROOM: Final = 10_000
"""Letters that a process stores between two counts of the table; the limit is exact to this number."""


class _Row(msgspec.Struct, frozen=True):
    source: str
    id: str
    topic: str
    message_partition: int
    message_offset: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    cause: str
    reason: str
    attempts: int
    failed_at: float

    def letter(self) -> DeadLetter:
        return DeadLetter(
            id=self.id, source=self.source, topic=self.topic, value=self.value, cause=self.cause, reason=self.reason,
            key=self.key, headers=tuple(self.headers), partition=self.message_partition, offset=self.message_offset,
            attempts=self.attempts, failed_at=self.failed_at,
        )  # fmt: skip


class PostgresDeadLetters:
    """The store of dead letters in a database; implements :class:`~corten.dead_letters.store.DeadLetterStore`.

    The table ``corten_dead_letters`` is made when the store is first used.

    :param max_letters: how many may wait before :meth:`put` refuses more
    """

    def __init__(self, postgres: Postgres, *, max_letters: int = 1_000_000) -> None:
        self._postgres = postgres
        self._max_letters = max_letters
        self._room = 0
        self._prepared = False

    async def prepare(self) -> None:
        """Create the table if it is missing."""
        async with self._postgres.transaction() as transaction:
            # Without the right to create anything a table made by a migration serves as well.
            if not await transaction.fetch_value(bool, "select to_regclass('corten_dead_letters') is not null"):
                await transaction.fetch_one(tuple, _LOCK)
                await transaction.execute(SCHEMA)
        self._prepared = True

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store all or none of the letters in one statement; a letter replaces a waiting one with its id.

        :raises ResourceUnavailable: the store is full or can't be reached; nothing was stored
        """
        # One statement may not meet the same row twice.
        unique = {(_text(letter.source), _text(letter.id)): letter for letter in letters}
        if not unique:
            return
        if not self._prepared:
            await self.prepare()
        await self._make_room(len(unique))
        rows = [
            (
                source, id_, _text(letter.topic), letter.partition, letter.offset, letter.key, letter.value,
                msgspec.json.encode([(_text(name), value) for name, value in letter.headers]).decode(),
                _text(letter.cause), _text(letter.reason), letter.attempts,
                datetime.fromtimestamp(letter.failed_at, UTC),
            )
            for (source, id_), letter in unique.items()
        ]  # fmt: skip
        columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
        try:
            self._room -= await self._postgres.execute(_PUT, *columns)
        except QueryError as error:
            # The letters are ours and fit the table; what the server refuses is the table, the disk or a right.
            raise ResourceUnavailable(f"the dead letters cannot be stored: {error}") from error

    async def list(
        self, *, source: str | None = None, limit: int = 100, after: str | None = None
    ) -> Sequence[DeadLetter]:
        """The letters that wait, ordered by id, from the one after ``after``."""
        if not self._prepared:
            await self.prepare()
        return [row.letter() for row in await self._postgres.fetch_all(_Row, _LIST, _named(source), after, limit)]

    async def count(self, *, source: str | None = None) -> int:
        """How many letters wait."""
        if not self._prepared:
            await self.prepare()
        return await self._postgres.fetch_value(
            int,
            "select count(*) from corten_dead_letters where replayed_at is null and ($1::text is null or source = $1)",
            _named(source),
        )

    async def mark_replayed(self, letters: Sequence[DeadLetter]) -> int:
        """Mark letters as replayed, except letters that have failed again already; return the number."""
        if not self._prepared:
            await self.prepare()
        return await self._postgres.execute(
            _REPLAYED,
            [_text(letter.source) for letter in letters],
            [_text(letter.id) for letter in letters],
            [datetime.fromtimestamp(letter.failed_at, UTC) for letter in letters],
        )

    async def purge(self, source: str, ids: Sequence[str] | None = None) -> int:
        """Delete letters by id, or all letters of the source; return the number."""
        if not self._prepared:
            await self.prepare()
        return await self._postgres.execute(
            "delete from corten_dead_letters where source = $1 and ($2::text[] is null or id = any($2))",
            _text(source),
            None if ids is None else [_text(id_) for id_ in ids],
        )

    async def _make_room(self, wanted: int) -> None:
        if wanted <= self._room:
            return
        waiting = await self.count()
        self._room = min(self._max_letters - waiting, max(ROOM, wanted))
        if wanted > self._room:
            raise ResourceUnavailable(
                f"the dead letters in {self._postgres.name} are full: {waiting} of {self._max_letters} wait; "
                "replay or purge some, or raise max_dead_letters"
            )


def _named(source: str | None) -> str | None:
    return None if source is None else _text(source)


def _text(text: str) -> str:
    """Remove NUL and lone surrogates, which the database cannot hold and bad bytes bring in."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
