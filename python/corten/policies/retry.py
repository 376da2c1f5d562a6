"""Retry: call again after a failure that may pass."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec.structs import force_setattr

from corten.policies.fields.callables import Function, resolve_function
from corten.policies.fields.checks import at_least, share, whole
from corten.policies.fields.exceptions import ExceptionTypes, resolve
from corten.policies.fields.struct import PolicyFields
from corten.policies.retry_budget import RetryBudget, check_budget
from corten.settings import Duration


class Retry(PolicyFields, frozen=True, tag_field="policy", tag="retry"):
    """Calls again after a failure that may pass, with growing and jittered backoffs.

    By default it repeats ``OSError``, ``TimeoutError`` and errors with a true attribute ``retryable``; with ``on`` or
    ``predicate`` only the errors they name. It never repeats cancellation, errors whose ``retryable`` is False, and
    functions marked by :func:`~corten.policies.not_idempotent` once they have begun. It repeats refusals of a policy
    inside (rate limit, circuit breaker, bulkhead) only if their ``retry_after`` is at most ``max_backoff``, or ``on``
    names them. Everything inside this policy is repeated for each attempt, everything outside happens once. The error
    of several attempts has a note with their number.
    """

    renamed_fields: ClassVar = {
        "wait": "initial_backoff",
        "backoff": "backoff_multiplier",
        "max_wait": "max_backoff",
        "waits": "backoffs",
    }

    max_attempts: int | None = None
    """Calls in all; the first one counts. None: 3, or one more than there are ``backoffs``."""
    initial_backoff: Duration = 0.1
    """Seconds before the second attempt."""
    backoff_multiplier: float = 2.0
    """The factor between one backoff and the next."""
    max_backoff: Duration = 30.0
    """The longest backoff in seconds; a ``retry_after`` beyond it ends the attempts."""
    jitter: float | Literal["decorrelated"] | None = None
    """The share of a backoff that is random: 0 none, 1 all of it ("full jitter"). ``"decorrelated"``: from
    ``initial_backoff`` to three times the last backoff. None: 1, or 0 with ``backoffs``. (Brooker, AWS Architecture
    Blog 2015.)"""
    max_time: Duration | None = None
    """Seconds since the first attempt after which no further attempt begins."""
    on: ExceptionTypes = ()
    """Repeat these instead of the default ones."""
    ignore: ExceptionTypes = ()
    """Never repeat these."""
    backoffs: tuple[Duration, ...] = ()
    """Seconds before the second attempt, the third and so on, in place of growing backoffs; the last one repeats."""
    on_result: Function | None = None
    """A function of the result, true for unwanted results; the last attempt's result is returned as it is."""
    predicate: Function | None = None
    """A function of the error, true for errors to repeat besides those in ``on``. It judges the pipeline's own refusals
    and time limits once, on examples."""
    budget: RetryBudget | None = None
    """Caps the further attempts of all retries and hedges of the pipeline; None: another policy's budget, or no cap."""

    def __post_init__(self) -> None:
        force_setattr(self, "max_attempts", self.attempts)  # the settings in effect show the numbers in force
        force_setattr(self, "jitter", self.random_share)
        whole("retry", "max_attempts", self.attempts, 1)
        at_least("retry", "initial_backoff", self.initial_backoff, 0)
        at_least("retry", "backoff_multiplier", self.backoff_multiplier, 1)
        at_least("retry", "max_backoff", self.max_backoff, 0)
        self._check_jitter()
        if self.max_time is not None:
            at_least("retry", "max_time", self.max_time, 0)
        for index, backoff in enumerate(self.backoffs):
            at_least("retry", f"backoffs[{index}]", backoff, 0)
        resolve(self.on, "retry: on")
        resolve(self.ignore, "retry: ignore")
        for field in ("on_result", "predicate"):
            if (function := getattr(self, field)) is not None:
                resolve_function("retry", field, function)
        check_budget("retry", self.budget)

    @property
    def attempts(self) -> int:
        """The number of calls in force, the first one included."""
        if self.max_attempts is not None:
            return self.max_attempts
        return len(self.backoffs) + 1 if self.backoffs else 3

    @property
    def random_share(self) -> float | Literal["decorrelated"]:
        """The jitter in force."""
        if self.jitter is not None:
            return self.jitter
        return 0.0 if self.backoffs else 1.0

    def _check_jitter(self) -> None:
        if isinstance(self.jitter, str):
            if self.jitter != "decorrelated":
                raise ValueError(f"retry: jitter is {self.jitter!r}; it must be a number from 0 to 1 or 'decorrelated'")
            if self.backoffs:
                raise ValueError("retry: jitter is 'decorrelated', which makes the backoffs itself: leave backoffs out")
            return
        if self.jitter is not None:
            share("retry", "jitter", self.jitter)
