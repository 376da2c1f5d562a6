"""CircuitBreaker: stop calling what keeps failing, and try again later."""

from __future__ import annotations

import msgspec

from corten.policies.check import positive, whole
from corten.policies.exceptions import ExceptionTypes, resolve
from corten.settings import Duration


class CircuitBreaker(msgspec.Struct, frozen=True, tag_field="policy", tag="circuit_breaker"):
    """Opens after failures in a row, refuses while it is open, then lets trial calls decide (Nygard, *Release It!*).

    A failure is any ``Exception`` except refusals of Corten's own policies; with ``on`` those types and no others.
    Cancellation is neither failure nor success. Results of calls that began before the last change of state are not
    counted.
    """

    failures: int = 5
    """So many in a row open it."""
    wait: Duration = 60.0
    """Seconds it stays open before it is half open."""
    trials: int = 1
    """How many calls at once a half-open breaker lets through, and how many must succeed to close it."""
    on: ExceptionTypes = ()
    """Count these as failures instead of every ``Exception``."""
    ignore: ExceptionTypes = ()
    """These are no failures."""

    def __post_init__(self) -> None:
        whole("circuit_breaker", "failures", self.failures, 1)
        positive("circuit_breaker", "wait", self.wait)
        whole("circuit_breaker", "trials", self.trials, 1)
        resolve(self.on)
        resolve(self.ignore)
