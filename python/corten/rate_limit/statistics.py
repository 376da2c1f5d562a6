"""Counts of a rate limit."""

from __future__ import annotations

from typing import Annotated

import msgspec

from corten.metrics.measured import counter, gauge


class RateLimitStatistics(msgspec.Struct, frozen=True):
    """Counts since the limiter was made, and the memory it uses for keys now."""

    admitted: Annotated[int, counter("Requests that got their tokens")]
    refused: Annotated[int, counter("Requests that did not")]
    evictions: Annotated[int, counter("Keys that were forgotten for others when too many were live at once")] = 0
    live: Annotated[int | None, gauge("Keys of which something is known now: all others would begin anew")] = None
    """None: a limiter without keys, or one with too many slots to count them on every scrape."""
    capacity: Annotated[int, gauge("Keys for which there is room; 0: it has no keys")] = 0
    bytes: Annotated[int, gauge("Memory allocated for keys so far", "bytes")] = 0
    waited: Annotated[int, counter("Requests among the admitted that had to wait for it")] = 0
    degraded: Annotated[int, counter("Requests decided by this process alone, the shared limit being away")] = 0


class SharedCounts:
    """Counts of one process's requests to a shared backend."""

    __slots__ = ("admitted", "degraded", "degraded_since", "refused", "waited")

    def __init__(self) -> None:
        self.admitted = self.refused = self.waited = 0
        self.degraded = 0
        """Requests that this process decided alone, because the backend could not be reached."""
        self.degraded_since: float | None = None

    def count(self, *, granted: bool, waited: bool) -> None:
        """Count one answer of the backend."""
        if granted:
            self.admitted += 1
            self.waited += waited
        else:
            self.refused += 1
