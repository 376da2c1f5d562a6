"""RetryBudget: how many further attempts a pipeline may make, for the calls that it makes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from corten.metrics.measured import counter, gauge
from corten.policies.fields.checks import at_least, whole
from corten.policies.fields.struct import PolicyFields


class RetryBudget(PolicyFields, frozen=True):
    """So many further attempts for the calls that there are; when it is spent, the first error is raised at once.

    Without one, retries of every layer multiply the load on a server that is failing already. A pipeline has one
    budget at most, which all its retries and hedges share. A share of the calls that ended (refused and cancelled
    ones are not among them) and a few a second for pipelines that are called rarely, as in Finagle's ``RetryBudget``;
    what is not used can be saved up to ``burst``, as in gRPC's ``retryThrottling`` (proposal A6). It begins with that.
    """

    ratio: float = 0.2
    """So many further attempts for each call: 0.2 is one in five."""
    min_per_second: float = 10.0
    """So many a second besides, however few calls there are."""
    burst: int = 100
    """So many at once after a quiet time."""

    def __post_init__(self) -> None:
        at_least("retry_budget", "ratio", self.ratio, 0)
        at_least("retry_budget", "min_per_second", self.min_per_second, 0)
        whole("retry_budget", "burst", self.burst, 1)


def check_budget(policy: str, budget: object) -> None:
    """Refuse what is no budget.

    :raises ValueError: naming the policy and what would be right
    """
    if not isinstance(budget, RetryBudget | None):
        raise ValueError(  # noqa: TRY004 - like every other problem of a policy's fields
            f"{policy}: budget is {budget!r}; it must be a RetryBudget, such as RetryBudget()"
        )


class RetryBudgetStatistics(msgspec.Struct, frozen=True):
    """How a pipeline's budget stands."""

    balance: Annotated[float, gauge("Further attempts that can be made at once")]
    granted: Annotated[int, counter("Further attempts that were made")]
    refused: Annotated[int, counter("Further attempts that would have been made, had it not been spent")]
