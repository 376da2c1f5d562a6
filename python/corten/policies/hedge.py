"""Hedge: make a slow call once more beside the first, and take whichever is there first."""

from __future__ import annotations

from typing import Annotated

import msgspec

from corten.metrics.measured import counter, gauge
from corten.policies.fields.checks import at_least, whole
from corten.policies.fields.struct import PolicyFields
from corten.policies.retry_budget import RetryBudget, check_budget
from corten.settings import Duration


class Hedge(PolicyFields, frozen=True, tag_field="policy", tag="hedge"):
    """Begins another attempt beside one that takes long; the first success counts, the others are cancelled.

    Dean and Barroso, "The Tail at Scale", CACM 2013. What takes long is said by ``delay``, or by ``quantile`` from what
    calls took so far. An error while another attempt is under way waits for that one; an error before is raised at
    once, as it is no matter of time. When the call is over no attempt is left: those cancelled are waited for.

    Around async functions that may be done twice: those marked by :func:`~corten.policies.not_idempotent` are called
    once, and plain functions are refused. Each attempt takes from the budget that the pipeline's retries use as well.
    """

    delay: Duration | None = None
    """Seconds after which another attempt begins; with ``quantile`` only until there are enough samples."""
    quantile: float | None = None
    """Begin another attempt when a call takes longer than this share of calls did, such as 0.95."""
    max_hedges: int = 1
    """How many attempts beside the first, each so long after the one before."""
    min_samples: int = 100
    """Calls to learn from before the quantile holds; None are hedged till then, or after ``delay``."""
    budget: RetryBudget | None = None
    """How many further attempts the pipeline may make, by all its retries and hedges; None: what another of them says,
    or a ``RetryBudget()``: hedges without any would double the load of a server that became slow."""

    def __post_init__(self) -> None:
        if self.delay is None and self.quantile is None:
            raise ValueError("hedge: neither delay nor quantile is set; expected one: after how long a call is slow")
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
    """What a hedge has come to for one function."""

    function: str
    started: Annotated[int, counter("Attempts begun beside a first one")]
    won: Annotated[int, counter("Attempts beside a first one whose result was taken")]
    delay: Annotated[float | None, gauge("After how long another attempt begins now", "seconds")] = None
    """None: there are not enough samples yet."""
    samples: Annotated[int, gauge("Calls from which the quantile is learned")] = 0
