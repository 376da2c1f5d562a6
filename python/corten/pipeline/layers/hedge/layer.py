"""Hedge as a layer: delays, budget and counts of further attempts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextvars import copy_context
from typing import Any

from corten import _core
from corten.deadline import remaining
from corten.event_loop import on_trio
from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.layers.hedge.on_asyncio import hedge_on_asyncio
from corten.pipeline.layers.hedge.on_trio import hedge_on_trio
from corten.pipeline.layers.layer import WrapContext, Wrapped
from corten.policies.fields.idempotence import is_idempotent
from corten.policies.hedge import Hedge, HedgeStatistics

_WINDOW = 1000
"""Calls after which earlier latencies count half."""


class FunctionHedge:
    """The hedge of one function: its latencies, and counts of attempts.

    :param previous: the hedge of the former policy; latencies stay if the quantile does
    """

    def __init__(self, policy: Hedge, wrap_context: WrapContext, previous: FunctionHedge | None) -> None:
        self.policy = policy
        self.pipeline = wrap_context.pipeline
        self.inside = wrap_context.inside
        self.function = wrap_context.function_name
        self.started: int = 0 if previous is None else previous.started
        self.won: int = 0 if previous is None else previous.won
        self.latencies: _core.Latencies | None = None
        pipeline = wrap_context.pipeline
        self.core = _core.Segment(pipeline.name, pipeline.clock, pipeline.counts, (), False)
        """Runs the first step of attempts."""
        if policy.quantile is None:
            return
        self._learned_by = (policy.quantile, policy.min_samples)
        if previous is not None and previous.latencies is not None and previous._learned_by == self._learned_by:
            self.latencies = previous.latencies
        else:
            window = max(_WINDOW, 2 * policy.min_samples)
            self.latencies = _core.Latencies(policy.quantile, policy.min_samples, window)

    def delay(self) -> float | None:
        """Return the seconds until another attempt begins, or None."""
        learned = None if self.latencies is None else self.latencies.quantile()
        return self.policy.delay if learned is None else learned

    def took(self, seconds: float) -> None:
        """Record the duration of a first attempt, or a lower bound."""
        if self.latencies is not None:
            self.latencies.record(seconds)

    def deadline(self) -> float | None:
        """Return the caller's deadline as a time of the clock."""
        left = remaining()
        return None if left is None else self.pipeline.clock.now() + left

    def may_begin(self, attempt: int, after: float) -> bool:
        """Take an attempt from the budget; count it and emit an event."""
        budget = self.pipeline.budget
        if budget is not None and not budget.withdraw(self.pipeline.counts):
            return False
        self.started += 1
        self.pipeline.events.emit("hedged", "hedge", attempt=attempt, seconds=after)
        return True

    async def attempt(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], deadline: float | None) -> Any:
        """Make the call again, under the deadline of the first."""
        result = self.core.run_keyed(self.inside(*args, **kwargs), (), deadline)
        if type(result) is _core.Call:
            await result
            result = result.result()
        return result

    def statistics(self) -> HedgeStatistics:
        """Return the counts, delay and samples."""
        samples = 0 if self.latencies is None else self.latencies.samples()
        return HedgeStatistics(self.function, self.started, self.won, self.delay(), samples)


class HedgeLayer:
    """Another attempt beside a slow one, through all inner layers."""

    kind = "hedge"

    def __init__(self, policy: Hedge) -> None:
        self._policy = policy

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """Return an error for sync functions, which cannot be hedged."""
        if signature.flavor != "sync":
            return None
        return f"{function} is a sync function, which cannot be hedged: leave the hedge out, or make it async"

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Return the wrapper that hedges calls of an idempotent function."""
        if not is_idempotent(wrap_context.function):
            inside = wrap_context.inside

            def once(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                return inside(*args, **kwargs)

            return Wrapped(texts.LAYERED, {"around": once})
        previous = wrap_context.kept if isinstance(wrap_context.kept, FunctionHedge) else None
        hedge = FunctionHedge(self._policy, wrap_context, previous)
        names: dict[str, Any] = {
            "function": wrap_context.inside,
            "core": hedge.core,
            "run": hedge.core.run,
            "now": wrap_context.pipeline.clock.now,
            "copy_context": copy_context,
            "Call": _core.Call,
            "type": type,
            "modules": sys.modules,
            "on_trio": on_trio,
            "hedge_on_trio": hedge_on_trio(hedge),
            "hedge": hedge_on_asyncio(hedge),
        }
        if hedge.latencies is None:
            return Wrapped(texts.HEDGED, names, kept=hedge)
        return Wrapped(texts.measured(texts.HEDGED), {**names, "took": hedge.latencies.record}, kept=hedge)
