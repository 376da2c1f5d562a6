"""Replay: publish dead letters to their topics again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corten.messages.publisher import OutgoingMessage, Publisher

if TYPE_CHECKING:
    from corten.dead_letters.store import DeadLetterStore

_PAGE = 100


async def replay(store: DeadLetterStore, publisher: Publisher, *, source: str, limit: int | None = None) -> int:
    """Publish the waiting dead letters of a source, and mark them.

    A letter is marked after the broker has acknowledged it: if the program dies in between, the next replay publishes
    the letter again. A letter that fails again before it is marked waits on. All consumer groups of the topic receive
    it, not only the group that gave it up.

    :param source: the consumer that gave the messages up
    :param limit: the most letters to publish; None: all
    :returns: the number of letters published
    :raises MessageError: the broker refused a letter for good; this letter and the later ones still wait
    :raises ResourceUnavailable: the broker or the store cannot be reached
    """
    published = 0
    after: str | None = None
    while limit is None or published < limit:
        page = _PAGE if limit is None else min(_PAGE, limit - published)
        letters = await store.list(source=source, limit=page, after=after)
        if not letters:
            break
        await publisher.send_many(
            OutgoingMessage(letter.topic, letter.value, letter.key, letter.headers) for letter in letters
        )
        await store.mark_replayed(letters)
        published += len(letters)
        after = letters[-1].id
    return published
