"""Retry: call again after a failure that may pass."""

from __future__ import annotations

from typing import Literal, cast

from msgspec.structs import force_setattr

from corten.policies.fields.callables import Function, resolve_function
from corten.policies.fields.checks import at_least, whole
from corten.policies.fields.exceptions import ExceptionTypes, resolve
from corten.policies.fields.struct import PolicyFields
from corten.policies.retry_budget import RetryBudget, check_budget
from corten.settings import Duration


class Retry(PolicyFields, frozen=True, tag_field="policy", tag="retry"):
    """Calls again after a failure that may pass, with growing and jittered waits.

    Repeated are ``OSError``, ``TimeoutError`` and errors with a true attribute ``retryable``; with ``on`` or
    ``predicate`` what those say and nothing else. Never repeated: cancellation, errors whose ``retryable`` is False,
    functions marked by :func:`~corten.policies.not_idempotent` once they have begun, and refusals of a policy inside
    (rate limit, circuit breaker, bulkhead) unless they say a ``retry_after`` of at most ``max_wait``, or ``on`` names
    them. Everything inside this policy is done again for each attempt, everything outside once. The error of several
    attempts has a note of how many there were.
    """

    max_attempts: int = cast("int", None)
    """How many calls in all; the first one counts. Unless said: three, or one more than there are ``waits``."""
    wait: Duration = 0.1
    """Seconds before the second attempt."""
    backoff: float = 2.0
    """Each further wait is so many times the one before."""
    max_wait: Duration = 30.0
    """No wait is longer, in seconds; a ``retry_after`` beyond it ends the attempts."""
    jitter: float | Literal["decorrelated"] = cast("float", None)
    """Which part of a wait is random: 0 none, 1 all of it ("full jitter"). ``"decorrelated"``: from ``wait`` up to
    three times the wait before. Unless said: 1, or 0 where ``waits`` are. (Brooker, AWS Architecture Blog 2015.)"""
    max_time: Duration | None = None
    """Seconds since the first attempt after which no further one is begun."""
    on: ExceptionTypes = ()
    """Repeat these instead of the default ones."""
    ignore: ExceptionTypes = ()
    """Never repeat these."""
    waits: tuple[Duration, ...] = ()
    """Seconds before the second attempt, the third and so on, not ``wait`` and ``backoff``; the last goes on."""
    on_result: Function | None = None
    """A function of the result that is true where the call is to be repeated; after the last attempt the result is
    returned as it is."""
    predicate: Function | None = None
    """A function of the error that is true where the call is to be repeated, besides those of ``on``. How it judges
    refusals and time limits of the pipeline itself is asked once, on examples."""
    budget: RetryBudget | None = None
    """How many further attempts the pipeline may make, by all its retries and hedges; None: what another of them says,
    or as many as there are."""

    def __post_init__(self) -> None:
        if cast("int | None", self.max_attempts) is None:
            force_setattr(self, "max_attempts", len(self.waits) + 1 if self.waits else 3)
        if cast("object", self.jitter) is None:
            force_setattr(self, "jitter", 0.0 if self.waits else 1.0)
        whole("retry", "max_attempts", self.max_attempts, 1)
        at_least("retry", "wait", self.wait, 0)
        at_least("retry", "backoff", self.backoff, 1)
        at_least("retry", "max_wait", self.max_wait, 0)
        self._check_jitter()
        if self.max_time is not None:
            at_least("retry", "max_time", self.max_time, 0)
        for place, wait in enumerate(self.waits):
            at_least("retry", f"waits[{place}]", wait, 0)
        resolve(self.on, "retry: on")
        resolve(self.ignore, "retry: ignore")
        for field in ("on_result", "predicate"):
            if (function := getattr(self, field)) is not None:
                resolve_function("retry", field, function)
        check_budget("retry", self.budget)

    def _check_jitter(self) -> None:
        if isinstance(self.jitter, str):
            if self.jitter != "decorrelated":
                raise ValueError(f"retry: jitter is {self.jitter!r}; it must be a number from 0 to 1 or 'decorrelated'")
            if self.waits:
                raise ValueError("retry: jitter is 'decorrelated', which makes the waits itself: leave waits out")
            return
        at_least("retry", "jitter", self.jitter, 0)
        if self.jitter > 1:
            raise ValueError(f"retry: jitter is {self.jitter!r}; it is a part of the wait, from 0 to 1")
