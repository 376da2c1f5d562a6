"""The dead-letter store in memory."""

from __future__ import annotations

import pytest

from corten.dead_letters import DeadLetter, DeadLetterStore, MemoryDeadLetterStore
from corten.errors import ResourceUnavailable

pytestmark = pytest.mark.anyio


def letter(number: int, source: str = "flights", value: bytes = b"x") -> DeadLetter:
    return DeadLetter(f"{number:04}", source, "flights", value, "ValueError", "bad")


async def test_letters_are_listed_by_id_page_by_page() -> None:
    store: DeadLetterStore = MemoryDeadLetterStore()
    await store.put([letter(3), letter(1)])
    await store.put([letter(2), letter(0, "other")])
    first = await store.list(source="flights", limit=2)
    assert [each.id for each in first] == ["0001", "0002"]
    assert [each.id for each in await store.list(source="flights", after=first[-1].id)] == ["0003"]
    assert await store.count() == 4
    assert await store.count(source="other") == 1


async def test_the_same_letter_twice_is_kept_once_as_it_was_last() -> None:
    store = MemoryDeadLetterStore()
    await store.put([letter(1, value=b"first"), letter(1, value=b"second")])
    await store.put([letter(1, value=b"third"), letter(1, "other")])
    assert [each.value for each in await store.list(source="flights")] == [b"third"]
    assert await store.count() == 2


async def test_a_full_store_refuses_all_and_evicts_nothing() -> None:
    store = MemoryDeadLetterStore(max_letters=2)
    await store.put([letter(1)])
    with pytest.raises(ResourceUnavailable, match="full: 1 of at most 2 letters"):
        await store.put([letter(2), letter(3)])
    assert await store.count() == 1
    await store.put([letter(2)])
    await store.put([letter(1)])
    assert await store.mark_replayed([letter(1), letter(9999)]) == 1
    await store.put([letter(3)])
    assert [each.id for each in await store.list()] == ["0002", "0003"]
    assert store.statistics().refused == 1


async def test_bytes_are_bounded_and_given_back() -> None:
    store = MemoryDeadLetterStore(max_bytes=3000)
    await store.put([letter(1, value=b"x" * 2000)])
    with pytest.raises(ResourceUnavailable):
        await store.put([letter(2, value=b"x" * 2000)])
    assert await store.purge("flights") == 1
    assert store.statistics().bytes == 0
    await store.put([letter(2, value=b"x" * 2000)])
    await store.put([letter(2, value=b"x" * 10)])
    await store.purge("flights")
    assert store.statistics().bytes == 0


async def test_purging_names_a_source() -> None:
    store = MemoryDeadLetterStore()
    await store.put([letter(1), letter(2), letter(1, "other")])
    assert await store.purge("flights", ["0001"]) == 1
    assert await store.purge("flights") == 1
    assert [each.source for each in await store.list()] == ["other"]


async def test_a_letter_that_fails_again_after_its_replay_waits_again() -> None:
    store = MemoryDeadLetterStore()
    await store.put([letter(1)])
    await store.mark_replayed([letter(1)])
    assert await store.count() == 0
    await store.put([letter(1)])
    assert await store.count() == 1
    assert store.statistics().stored == 2
