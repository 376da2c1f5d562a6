"""RetryBudget: cap further attempts as a share of calls."""

from __future__ import annotations

from typing import Annotated

import msgspec

from corten.metrics.measured import counter, gauge
from corten.policies.fields.checks import at_least, whole
from corten.policies.fields.struct import PolicyFields


class RetryBudget(PolicyFields, frozen=True):
    """Caps further attempts as a share of calls; beyond it, errors are raised at once.

    Without a budget, retries in several services multiply the load on a server that is failing already. A pipeline has
    at most one budget, which all its retries and hedges share. It grows with the calls that ended (refused and
    cancelled calls do not count) and with time, for pipelines that are called rarely, as in Finagle's ``RetryBudget``.
    Unused attempts are saved up to ``burst``, as in gRPC's ``retryThrottling`` (proposal A6). It begins full.
    """

    ratio: float = 0.2
    """Further attempts for each call: 0.2 is one in five."""
    min_per_second: float = 10.0
    """Further attempts a second besides, however few calls there are."""
    burst: int = 100
    """The most further attempts that are saved."""

    def __post_init__(self) -> None:
        at_least("retry_budget", "ratio", self.ratio, 0)
        at_least("retry_budget", "min_per_second", self.min_per_second, 0)
        whole("retry_budget", "burst", self.burst, 1)


def check_budget(policy: str, budget: object) -> None:
    """Check a policy's budget.

    :raises ValueError: naming the policy and what would be right
    """
    if not isinstance(budget, RetryBudget | None):
        raise ValueError(  # noqa: TRY004 - like every other problem of a policy's fields
            f"{policy}: budget is {budget!r}; it must be a RetryBudget, such as RetryBudget()"
        )


class RetryBudgetStatistics(msgspec.Struct, frozen=True):
    """State and counts of a pipeline's budget."""

    balance: Annotated[float, gauge("Further attempts that can be made now")]
    granted: Annotated[int, counter("Further attempts that were made")]
    refused: Annotated[int, counter("Further attempts that it refused")]
