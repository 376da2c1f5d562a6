"""Sends dead letters to their topics again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corten.messages.publisher import OutgoingMessage, Publisher

if TYPE_CHECKING:
    from corten.dead_letters.store import DeadLetterStore

_PAGE = 100


async def replay(store: DeadLetterStore, publisher: Publisher, *, source: str, limit: int | None = None) -> int:
    """Publish the letters of a source that wait now, once each, and note that they were sent again.

    A letter is noted as replayed after the broker has acknowledged it: where the program dies in between, the letter is
    sent a second time by the next replay. One that fails again before it could be noted waits on. All consumer groups
    of the topic get it, not only the one that gave it up.

    :param source: the consumer that gave the messages up
    :param limit: the most letters to send; None: all
    :returns: how many were sent
    :raises MessageError: the broker refused a letter for good; it and those after it still wait
    :raises ResourceUnavailable: the broker or the store can't be reached
    """
    sent = 0
    after: str | None = None
    while limit is None or sent < limit:
        page = _PAGE if limit is None else min(_PAGE, limit - sent)
        letters = await store.list(source=source, limit=page, after=after)
        if not letters:
            break
        await publisher.send_many(
            OutgoingMessage(letter.topic, letter.value, letter.key, letter.headers) for letter in letters
        )
        await store.mark_replayed(letters)
        sent += len(letters)
        after = letters[-1].id
    return sent
