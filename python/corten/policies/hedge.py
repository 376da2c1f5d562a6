"""Hedge: begin another attempt beside a slow one, and take the first result."""

from __future__ import annotations

from typing import Annotated

import msgspec

from corten.metrics.measured import counter, gauge
from corten.policies.fields.checks import at_least, whole
from corten.policies.fields.struct import PolicyFields
from corten.policies.retry_budget import RetryBudget, check_budget
from corten.settings import Duration


class Hedge(PolicyFields, frozen=True, tag_field="policy", tag="hedge"):
    """Begins another attempt beside a slow one; the first success counts, and the others are cancelled.

    Dean and Barroso, "The Tail at Scale", CACM 2013. An attempt is slow after ``delay``, or after a ``quantile`` of
    past latencies. An error before another attempt began is raised at once; later errors wait for the other attempts.
    The call returns once cancelled attempts have ended.

    Functions marked by :func:`~corten.policies.not_idempotent` are called once; sync functions are refused. Attempts
    take from the budget of the pipeline's retries.
    """

    delay: Duration | None = None
    """Seconds after which another attempt begins; with ``quantile``, until there are enough samples."""
    quantile: float | None = None
    """Begin another attempt when a call takes longer than this share of calls did, such as 0.95."""
    max_hedges: int = 1
    """Attempts beside the first, each after another delay."""
    min_samples: int = 100
    """Calls to learn from before the quantile is used; until then ``delay`` is, or no call is hedged."""
    budget: RetryBudget | None = None
    """Caps the further attempts of all retries and hedges of the pipeline; None: another policy's budget, or a
    ``RetryBudget()``, for hedges without a cap would double the load of a slow server."""

    def __post_init__(self) -> None:
        if self.delay is None and self.quantile is None:
            raise ValueError("hedge: neither delay nor quantile is set; expected one")
        if self.delay is not None:
            at_least("hedge", "delay", self.delay, 0)
        if self.quantile is not None:
            at_least("hedge", "quantile", self.quantile, 0)
            if not 0 < self.quantile < 1:
                raise ValueError(f"hedge: quantile is {self.quantile!r}; it must be between 0 and 1, such as 0.95")
        whole("hedge", "max_hedges", self.max_hedges, 1, 100)
        whole("hedge", "min_samples", self.min_samples, 1, 1_000_000)
        check_budget("hedge", self.budget)


class HedgeStatistics(msgspec.Struct, frozen=True):
    """Counts of a hedge, for one function."""

    function: str
    started: Annotated[int, counter("Attempts begun beside a first one")]
    won: Annotated[int, counter("Attempts beside a first one whose result was taken")]
    delay: Annotated[float | None, gauge("Delay after which another attempt begins", "seconds")] = None
    """None: there are too few samples yet."""
    samples: Annotated[int, gauge("Calls from which the quantile is learned")] = 0
