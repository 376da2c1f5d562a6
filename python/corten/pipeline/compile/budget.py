"""The budget of further attempts that the retries and hedges of a pipeline share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corten import _core
from corten.policies.hedge import Hedge
from corten.policies.policy import Policy
from corten.policies.retry import Retry
from corten.policies.retry_budget import RetryBudget

if TYPE_CHECKING:
    from corten.pipeline.layers.layer import PipelineContext


def shared_budget(
    policies: Sequence[Policy], previous: _core.RetryBudget | None, context: PipelineContext
) -> _core.RetryBudget | None:
    """The one that a policy says, with what was left of the previous one; None where none needs any.

    :raises ValueError: two policies say different ones
    """
    said = [each.budget for each in policies if isinstance(each, Hedge | Retry) and each.budget is not None]
    if any(each != said[0] for each in said):
        other = next(each for each in said if each != said[0])
        raise ValueError(
            f"pipeline {context.name!r}: its policies say different retry budgets, {said[0]!r} and {other!r}: "
            "a pipeline has one, so say it once"
        )
    if not said and any(isinstance(each, Hedge) for each in policies):
        said.append(RetryBudget())
    if not said:
        return None
    return budget_of(said[0], previous, context)


def budget_of(policy: RetryBudget, previous: _core.RetryBudget | None, context: PipelineContext) -> _core.RetryBudget:
    """The core's budget of a policy."""
    return _core.RetryBudget(
        policy.ratio, policy.min_per_second, policy.burst, context.clock.core, context.counts, previous
    )
