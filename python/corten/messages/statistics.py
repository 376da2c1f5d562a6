"""Counts of a consumer, for its statistics and its metrics."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from corten.metrics import Registry


class ConsumerStatistics(msgspec.Struct, frozen=True):
    """Counts of a consumer's messages since it was made."""

    handled: int
    dead_lettered: int
    retries: int
    """Failed attempts that were, or will be, followed by another."""
    in_flight: int
    """Messages (in batch mode: parts of batches) taken from the source and not finished."""
    stalled: str
    """Why the consumer cannot continue for now; empty where it can."""


class ConsumerCounts:
    """Counts what becomes of messages, here and in a registry."""

    def __init__(self, consumer: str, registry: Registry | None) -> None:
        self.handled = 0
        self.dead_lettered = 0
        self.retries = 0
        self._success: Callable[[float], None] = _nothing
        self._dead_letter: Callable[[float], None] = _nothing
        self._retry: Callable[[float], None] = _nothing
        self._letter: Callable[[float], None] = _nothing
        if registry is None:
            return
        handled = registry.counter(
            "corten_messages_handled", "Messages that were committed or will be", attributes=("consumer", "outcome")
        )
        retries = registry.counter(
            "corten_messages_retries", "Attempts at messages that failed and are repeated", attributes=("consumer",)
        )
        letters = registry.counter("corten_dead_letters", "Dead letters stored", attributes=("source",))
        self._success = handled.bind(consumer=consumer, outcome="success").add
        self._dead_letter = handled.bind(consumer=consumer, outcome="dead_letter").add
        self._retry = retries.bind(consumer=consumer).add
        self._letter = letters.bind(source=consumer).add

    def success(self, count: int) -> None:
        """Count messages that the handler has handled."""
        self.handled += count
        self._success(count)

    def dead_letters(self, count: int) -> None:
        """Count messages that were stored as dead letters."""
        self.dead_lettered += count
        self._dead_letter(count)
        self._letter(count)

    def retry(self) -> None:
        """Count an attempt that failed and will be repeated."""
        self.retries += 1
        self._retry(1)


def _nothing(_: float) -> None: ...
