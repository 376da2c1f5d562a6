"""Dead letters in PostgreSQL: stored once, never lost, listed, replayed, purged, and refused when too many."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import msgspec
import pytest

from corten.dead_letters import DeadLetter
from corten.errors import ResourceUnavailable
from corten_postgres import Postgres, PostgresDeadLetters
from corten_postgres.dead_letters import SCHEMA

pytestmark = [pytest.mark.anyio, pytest.mark.services]


def letters(count: int, source: str = "flights", reason: str = "no departure") -> list[DeadLetter]:
    return [
        DeadLetter(
            id=f"flights/0/{number:06}", source=source, topic="flights", value=b"\x00\xff", key=b"UA", partition=3,
            offset=number, cause="ValidationError", reason=reason, headers=(("id", b"\xff\x00"), ("id", b"")),
            attempts=2, failed_at=1_700_000_000.25,
        )
        for number in range(count)
    ]  # fmt: skip


def ids(found: Sequence[DeadLetter]) -> list[str]:
    return [letter.id for letter in found]


async def test_a_letter_comes_back_as_it_was(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    await store.put(letters(1))
    assert list(await store.list()) == letters(1)


async def test_storing_twice_keeps_one_and_the_latest_one(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    await store.put([*letters(3), *letters(3, reason="twice in one batch")])
    await store.put(letters(3, reason="once more"))
    found = await store.list()
    assert {letter.reason for letter in found} == {"once more"}
    assert await store.count() == 3


async def test_pages_follow_each_other_by_id(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    await store.put(letters(5))
    await store.put(letters(2, source="other"))
    first = await store.list(source="flights", limit=3)
    second = await store.list(source="flights", limit=3, after=first[-1].id)
    assert ids([*first, *second]) == ids(letters(5))
    assert (await store.count(source="flights"), await store.count(source="other"), await store.count()) == (5, 2, 7)


async def test_what_was_replayed_no_longer_waits_but_waits_again_when_it_fails_again(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    await store.put(letters(3))
    assert await store.mark_replayed(letters(2)) == 2
    assert await store.mark_replayed(letters(2)) == 0
    assert await store.count() == 1
    await store.put(letters(1, reason="failed again"))
    found = await store.list()
    assert [(letter.id, letter.reason) for letter in found] == [
        ("flights/0/000000", "failed again"),
        ("flights/0/000002", "no departure"),
    ]


async def test_what_fails_again_before_its_replay_is_noted_waits_on(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    await store.put([msgspec.structs.replace(letter, failed_at=1_700_000_000.123457) for letter in letters(2)])
    sent = await store.list()
    await store.put([msgspec.structs.replace(sent[0], failed_at=1_700_000_000.123458, offset=77)])
    assert await store.mark_replayed(sent) == 1
    assert [(letter.id, letter.offset) for letter in await store.list()] == [("flights/0/000000", 77)]


async def test_purging_drops_what_is_named_or_all_of_a_source(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    await store.put(letters(3))
    await store.put(letters(2, source="other"))
    assert await store.purge("flights", ["flights/0/000001", "unknown"]) == 1
    assert await store.purge("flights") == 2
    assert await store.count() == 2


async def test_text_that_the_database_cannot_hold_is_stored_readably(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    bad = DeadLetter(id="a\0b", source="s", topic="t", value=b"", cause="E", reason="byte \0 and \ud800")
    await store.put([bad])
    assert (await store.list())[0].reason == "byte \ufffd and ?"
    assert await store.mark_replayed(await store.list()) == 1


async def test_a_full_store_refuses_and_forgets_nothing(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres, max_letters=3)
    await store.put(letters(2))
    with pytest.raises(
        ResourceUnavailable, match=r"full: 2 of 3 wait; replay or purge some, or raise max_dead_letters"
    ):
        await store.put(letters(2, source="other"))
    assert await store.count() == 2
    await store.purge("flights", ["flights/0/000000"])
    await store.put(letters(2, source="other"))
    assert await store.count() == 3


async def test_many_letters_go_by_one_statement(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    await store.put(letters(20_000))
    assert await store.count() == 20_000


async def test_stores_that_start_together_make_the_table_once(postgres: Postgres) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(PostgresDeadLetters(postgres).prepare)
    await postgres.execute(SCHEMA)
    assert await PostgresDeadLetters(postgres).count() == 0


async def test_the_waiting_are_found_by_an_index(postgres: Postgres) -> None:
    store = PostgresDeadLetters(postgres)
    await store.put(letters(5000))
    await postgres.execute("analyze corten_dead_letters")
    plan = await postgres.fetch_all(
        str, "explain select id from corten_dead_letters where replayed_at is null order by id, source limit 10"
    )
    assert "corten_dead_letters_waiting" in "\n".join(plan)


async def test_an_empty_batch_touches_nothing(postgres: Postgres) -> None:
    await PostgresDeadLetters(postgres).put([])
    assert await postgres.fetch_value(bool, "select to_regclass('corten_dead_letters') is null")
