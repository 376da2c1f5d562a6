"""What a pipeline has counted: plain data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from corten.events.event import BreakerState


class BreakerStatistics(msgspec.Struct, frozen=True):
    """A circuit breaker."""

    state: BreakerState
    failures: int
    """Failures in a row, while closed."""
    opened: int
    """How often it opened."""
    retry_after: float | None
    """Seconds until it is half open; None unless it is open."""


class BulkheadStatistics(msgspec.Struct, frozen=True):
    """A bulkhead."""

    running: int
    waiting: int
    max_concurrent: int


class PipelineStatistics(msgspec.Struct, frozen=True):
    """A pipeline since it was made. ``calls`` is the sum of the outcomes: what is under way is not yet in it."""

    calls: int
    successes: int
    errors: int
    timeouts: int
    """Calls that ended with one of the pipeline's own time limits."""
    cancelled: int
    refused: Mapping[str, int]
    """Calls that ended with a refusal, by the policy's word."""
    hits: int
    """Calls that a cache answered."""
    misses: int
    retries: int
    """Attempts beyond the first ones."""
    breakers: tuple[BreakerStatistics, ...] = ()
    """In the order of the policies."""
    bulkheads: tuple[BulkheadStatistics, ...] = ()
    """In the order of the policies."""
