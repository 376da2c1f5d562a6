"""Timeout: end a call that takes too long."""

from __future__ import annotations

from typing import ClassVar

from corten.policies.fields.checks import positive
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration


class Timeout(PolicyFields, frozen=True, tag_field="policy", tag="timeout"):
    """Cancels calls that take longer, and raises :class:`~corten.errors.DeadlineExceeded`.

    That is also a ``TimeoutError``. Inside a `Retry` it limits each attempt; outside, all attempts with their backoffs.
    A `CircuitBreaker` outside of it counts a failure; a breaker inside of it sees a cancelled call.
    """

    guards_blocks: ClassVar[bool] = True

    seconds: Duration
    """The time limit."""

    def __post_init__(self) -> None:
        positive("timeout", "seconds", self.seconds)
