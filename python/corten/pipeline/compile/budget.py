"""The budget of further attempts that retries and hedges share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corten import _core
from corten.policies.combined.policy import Policy
from corten.policies.hedge import Hedge
from corten.policies.retry import Retry
from corten.policies.retry_budget import RetryBudget

if TYPE_CHECKING:
    from corten.pipeline.layers.layer import PipelineContext


def shared_budget(
    policies: Sequence[Policy], previous: _core.RetryBudget | None, context: PipelineContext
) -> _core.RetryBudget | None:
    """Return the budget of the policies; None: they need none.

    :param previous: the budget before, whose level it keeps

    :raises ValueError: two policies have different budgets
    """
    given = [each.budget for each in policies if isinstance(each, Hedge | Retry) and each.budget is not None]
    if any(each != given[0] for each in given):
        other = next(each for each in given if each != given[0])
        raise ValueError(
            f"pipeline {context.name!r}: its policies have different retry budgets, {given[0]!r} and {other!r}: "
            "a pipeline has one budget, so give it to one policy"
        )
    if not given and any(isinstance(each, Hedge) for each in policies):
        given.append(RetryBudget())
    if not given:
        return None
    return budget_of(given[0], previous, context)


def budget_of(policy: RetryBudget, previous: _core.RetryBudget | None, context: PipelineContext) -> _core.RetryBudget:
    """Make the core's budget of a policy."""
    return _core.RetryBudget(
        policy.ratio, policy.min_per_second, policy.burst, context.clock.core, context.counts, previous
    )
