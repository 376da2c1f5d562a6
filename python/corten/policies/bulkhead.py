"""Bulkhead: bound how many calls run at once."""

from __future__ import annotations

import msgspec

from corten.policies.check import at_least, whole
from corten.settings import Duration


class Bulkhead(msgspec.Struct, frozen=True, tag_field="policy", tag="bulkhead"):
    """Lets so many calls run at once; some more may wait, first in, first out; the rest are refused."""

    max_concurrent: int = 10
    """Calls that run at once."""
    max_waiting: int = 0
    """Calls that may wait for a place."""
    max_wait: Duration | None = None
    """Seconds after which a waiting call is refused; None: as long as it takes."""

    def __post_init__(self) -> None:
        whole("bulkhead", "max_concurrent", self.max_concurrent, 1)
        whole("bulkhead", "max_waiting", self.max_waiting, 0)
        if self.max_wait is not None:
            at_least("bulkhead", "max_wait", self.max_wait, 0)
