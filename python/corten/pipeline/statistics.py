"""What a pipeline has counted: plain data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from corten.events.event import BreakerState
from corten.policies.chaos import ChaosStatistics
from corten.policies.retry_budget import RetryBudgetStatistics


class BreakerStatistics(msgspec.Struct, frozen=True):
    """A circuit breaker."""

    state: BreakerState
    """An open breaker whose wait is over is still open until a call comes."""
    failures: int
    """Failures in a row; while open or half open those that it opened with."""
    opened: int
    """How often it opened."""
    retry_after: float | None
    """Seconds until it is half open; None unless it is open."""
    name: str = ""
    """The name by which pipelines share it; empty where it is one pipeline's own."""
    calls: int = 0
    """Calls in the window, while open those that it opened with; 0 without a window."""
    failed: int = 0
    """Calls in the window that failed."""
    slow: int = 0
    """Calls in the window that were slow."""
    failure_rate: float | None = None
    """The part of them that failed; None where there are none."""
    slow_rate: float | None = None
    """The part of them that were slow; None where there are none."""
    refused: int = 0
    """Calls that it refused."""
    reason: str = ""
    """Why it opened the last time: ``5 failures in a row``; empty where it never did."""
    last_failure: str = ""
    """The last error that counted, in words and without secrets."""


class BulkheadStatistics(msgspec.Struct, frozen=True):
    """A bulkhead: how it stands, and what it has seen since it was made."""

    running: int
    """Calls that hold a place."""
    waiting: int
    """Calls in the queue."""
    max_concurrent: int
    """Places there are."""
    max_waiting: int = 0
    """Places in the queue."""
    most_running: int = 0
    """The most calls that ever held a place at once."""
    most_waiting: int = 0
    """The most calls that were ever in the queue at once."""
    refused: int = 0
    """Calls that found no place and no room in the queue."""
    displaced: int = 0
    """Calls in a full queue that made room for one of higher priority."""
    gave_up: int = 0
    """Calls that left the queue without a place: after ``max_wait``, at a time limit, or cancelled."""
    waited: int = 0
    """Calls that got their place from the queue."""
    wait_time: float = 0.0
    """Seconds that those waited, together."""
    longest_wait: float = 0.0
    """Seconds that the one of them waited that waited longest."""


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
    retry_budget: RetryBudgetStatistics | None = None
    """What all its retries and hedges may still do; None where no policy says a budget."""
    chaos: tuple[ChaosStatistics, ...] = ()
    """In the order of the policies; empty where it is not allowed."""
