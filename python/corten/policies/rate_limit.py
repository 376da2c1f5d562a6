"""Rate limit: let so many calls through in a time, for all or for each key."""

from __future__ import annotations

import msgspec

from corten._core import KeyedTokenBucket, TokenBucket
from corten.policies.check import at_least
from corten.settings import Duration, Rate

__all__ = ["KeyedTokenBucket", "RateLimit", "RateLimitStatistics", "TokenBucket"]


class RateLimit(msgspec.Struct, frozen=True, tag_field="policy", tag="rate_limit"):
    """Lets calls through at a steady rate, and a burst of them at once after a quiet time; refuses the rest.

    A token bucket, kept as GCRA (ITU-T I.371): ``burst`` tokens at first, one for each call, refilled at ``rate``.
    """

    rate: Rate
    """Calls in a time: ``"100/s"``, ``"5/min"``, ``"0.5/s"``."""
    burst: int | None = None
    """Calls let through at once after a quiet time; None: the number before the slash (``"5/min"``: 5; at least 1)."""
    max_wait: Duration = 0.0
    """Seconds a call may wait for its token, first come, first served; 0: refuse at once."""
    key: str | None = None
    """The parameter of the function by whose value calls are limited, each value on its own; None: all together."""

    def __post_init__(self) -> None:
        try:
            TokenBucket(self.rate, self.burst)
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"rate_limit: {error}") from None
        at_least("rate_limit", "max_wait", self.max_wait, 0)
        if self.key is not None and not self.key.isidentifier():
            raise ValueError(f"rate_limit: key is {self.key!r}; it must be the name of a parameter of the function")


class RateLimitStatistics(msgspec.Struct, frozen=True):
    """What a token bucket, plain or keyed, has counted."""

    admitted: int
    """Requests that got their tokens."""
    refused: int
    """Requests that did not."""
    evictions: int = 0
    """Keys that lost what they had used to another key when too many were live at once."""
    live: int = 0
    """Keys that have less than a full bucket now."""
    capacity: int = 0
    """Keys for which there is room."""
    bytes: int = 0
    """Memory allocated for keys so far."""
