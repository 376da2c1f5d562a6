"""Timeout: end a call that takes too long."""

from __future__ import annotations

from typing import ClassVar

from corten.policies.fields.checks import positive
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration


class Timeout(PolicyFields, frozen=True, tag_field="policy", tag="timeout"):
    """Cancels a call that takes longer and raises :class:`~corten.errors.DeadlineExceeded`, a ``TimeoutError``.

    Inside a `Retry` it limits each attempt, outside all of them together with their waits. A `CircuitBreaker` counts
    it when the timeout is inside the breaker; to a breaker inside the timeout the call was cancelled.
    """

    guards_blocks: ClassVar[bool] = True

    seconds: Duration
    """The limit."""

    def __post_init__(self) -> None:
        positive("timeout", "seconds", self.seconds)
