"""Retry: call again after a failure that may pass."""

from __future__ import annotations

import msgspec

from corten.policies.check import at_least, whole
from corten.policies.exceptions import ExceptionTypes, resolve
from corten.settings import Duration


class Retry(msgspec.Struct, frozen=True, tag_field="policy", tag="retry"):
    """Calls again after a failure that may pass, with growing and jittered waits.

    Repeated are ``OSError``, ``TimeoutError`` and errors with a true attribute ``retryable``; with ``on`` those types
    and no others. Never repeated: cancellation, errors whose ``retryable`` is false, and refusals of a policy inside
    (rate limit, circuit breaker, bulkhead) unless they say a ``retry_after`` of at most ``max_wait``. Everything
    inside this policy is done again for each attempt, everything outside once.
    """

    max_attempts: int = 3
    """How many calls in all; the first one counts."""
    wait: Duration = 0.1
    """Seconds before the second attempt."""
    backoff: float = 2.0
    """Each further wait is so many times the one before."""
    max_wait: Duration = 30.0
    """No wait is longer, in seconds; a ``retry_after`` beyond it ends the attempts."""
    jitter: float = 1.0
    """Which part of a wait is random: 0 none, 1 all of it ("full jitter", Brooker, AWS Architecture Blog 2015)."""
    max_time: Duration | None = None
    """Seconds since the first attempt after which no further one is begun."""
    on: ExceptionTypes = ()
    """Repeat these instead of the default ones."""
    ignore: ExceptionTypes = ()
    """Never repeat these."""

    def __post_init__(self) -> None:
        whole("retry", "max_attempts", self.max_attempts, 1)
        at_least("retry", "wait", self.wait, 0)
        at_least("retry", "backoff", self.backoff, 1)
        at_least("retry", "max_wait", self.max_wait, 0)
        at_least("retry", "jitter", self.jitter, 0)
        if self.jitter > 1:
            raise ValueError(f"retry: jitter is {self.jitter!r}; it is a part of the wait, from 0 to 1")
        if self.max_time is not None:
            at_least("retry", "max_time", self.max_time, 0)
        resolve(self.on)
        resolve(self.ignore)
