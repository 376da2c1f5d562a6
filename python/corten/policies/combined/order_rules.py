"""Rules for orders of policies that are probably not meant, and why.

Only orders that make a policy useless, or turn its meaning around, are here; unusual orders are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Pair(NamedTuple):
    """Two policies of a pipeline, and all policies inside of the inner one."""

    outer: Any
    inner: Any
    inside: tuple[Any, ...]


def _always(_: Pair) -> bool:
    return True


class Rule(NamedTuple):
    """An order of two policies that is probably not meant."""

    outer: str
    inner: str
    reason: str
    """Its effect, and what to do."""
    applies: Callable[[Pair], bool] = _always
    """Whether two policies of these kinds break the rule."""

    @property
    def name(self) -> str:
        """The rule's name in the documentation."""
        return f"{self.outer} outside {self.inner}"


def kind_of(policy: object) -> str:
    """Return a policy's kind; empty for other objects."""
    return str(getattr(policy, "kind", ""))


def _has(policy: object, *fields: str) -> bool:
    return any(getattr(policy, field, None) for field in fields)


def _waits(policy: object) -> bool:
    """Return whether calls may wait in a policy."""
    match kind_of(policy):
        case "retry":
            return int(getattr(policy, "max_attempts", 1)) > 1
        case "rate_limit":
            return _has(policy, "max_wait")
        case _:
            return _has(policy, "max_waiting")


def _nothing_ends_it_inside(pair: Pair) -> bool:
    return not any(kind_of(each) == "timeout" for each in pair.inside)


def _catches_all(pair: Pair) -> bool:
    return not _has(pair.inner, "on", "ignore", "predicate")


def _first_wait(retry: Any) -> float:
    backoffs = getattr(retry, "backoffs", None)
    return float(backoffs[0] if backoffs else retry.initial_backoff)


def _no_time_for_a_second(pair: Pair) -> bool:
    return _waits(pair.inner) and _first_wait(pair.inner) >= float(pair.outer.seconds)


def _same_errors(pair: Pair) -> bool:
    return not any(_has(each, "on", "ignore", "predicate", "on_result") for each in (pair.outer, pair.inner))


def _for_all_callers(pair: Pair) -> bool:
    return not _has(pair.outer, "key")


def _repeats_results(pair: Pair) -> bool:
    return _has(pair.outer, "on_result")


def _hides_all_from_retry(pair: Pair) -> bool:
    return _catches_all(pair) and not _has(pair.outer, "on_result")


def _should_catch_timeouts(pair: Pair) -> bool:
    return _nothing_ends_it_inside(pair) and not _has(pair.inner, "on", "predicate")


def _no_shorter(pair: Pair) -> bool:
    return float(pair.inner.seconds) >= float(pair.outer.seconds)


def _over_before_hedge(pair: Pair) -> bool:
    return _over_before(pair.outer, pair.inner)


def _hedged_too_late(pair: Pair) -> bool:
    return _over_before(pair.inner, pair.outer)


def _over_before(timeout: Any, hedge: Any) -> bool:
    delay = getattr(hedge, "delay", None)
    return delay is not None and not _has(hedge, "quantile") and float(timeout.seconds) <= delay


def _times_waits(pair: Pair) -> bool:
    return _waits(pair.inner)


def _times_waits_by_slowness(pair: Pair) -> bool:
    return _has(pair.outer, "slow_call") and _waits(pair.inner)


def _learns_from_waits(pair: Pair) -> bool:
    learns = getattr(pair.outer, "algorithm", "") == "gradient" or _has(pair.outer, "slow_call")
    return learns and _waits(pair.inner)


def _learns_from_own_limits(pair: Pair) -> bool:
    return _learns_from_waits(pair) or not _has(pair.outer, "on")


_NO_CALL = "it never sees a call fail, for the fallback turns every error into a result: put the fallback outside"
_ITS_OWN_WAIT = (
    "it times calls with their waits in the inner policy, and so takes your own queue for a slow server: put it inside"
)
_ITS_OWN_LIMIT = (
    "it takes refusals and waits of your own limit for signs of an overloaded server, and shrinks: put it inside"
)
_UNTESTED = "the inner policy never meets the disturbed calls: put chaos innermost"

_PAIRS: tuple[Rule, ...] = (
    Rule(
        "rate_limit",
        "cache",
        "cached results cost tokens, and are refused without one: put the cache outside, or give the limit a key if it "
        "is to count callers",
        _for_all_callers,
    ),
    Rule(
        "bulkhead",
        "cache",
        "cached results are refused while other calls hold all places: put the cache outside",
    ),
    Rule(
        "adaptive_limit",
        "cache",
        "cached results are refused while other calls hold all places, and so fast that the limit learns nothing of "
        "other calls: put the cache outside",
    ),
    Rule(
        "circuit_breaker",
        "cache",
        "an open breaker refuses cached results too, and a closed one counts every hit as a success: put the cache "
        "outside",
    ),
    Rule(
        "hedge",
        "cache",
        "another attempt for equal arguments waits for the running one, and so can't be faster: put the cache outside",
    ),
    Rule(
        "retry",
        "cache",
        "the cache keeps a result that on_result repeats, and returns it to every further attempt: put the cache "
        "outside",
        _repeats_results,
    ),
    Rule(
        "cache",
        "fallback",
        "the cache keeps the fallback's result, also when calls succeed again: put the fallback outside, or let the "
        "cache return stale results",
    ),
    Rule(
        "retry",
        "fallback",
        _NO_CALL,
        _hides_all_from_retry,
    ),
    Rule("circuit_breaker", "fallback", _NO_CALL, _catches_all),
    Rule(
        "hedge",
        "fallback",
        "the first failure returns the fallback's result, which wins against the attempt still running: put the "
        "fallback outside",
        _catches_all,
    ),
    Rule(
        "timeout",
        "fallback",
        "when the time is over the fallback is cancelled too, and returns nothing: put the fallback outside, or "
        "another time limit inside",
        _should_catch_timeouts,
    ),
    Rule(
        "timeout",
        "circuit_breaker",
        "the breaker counts no failure when the time is over, for it sees the call cancelled: put a time limit inside "
        "the breaker",
        _nothing_ends_it_inside,
    ),
    Rule(
        "timeout",
        "retry",
        "the first backoff may last as long as the limit, so that there is no time for a second attempt: raise the "
        "limit, shorten the backoff, or put the limit inside if it is for each attempt",
        _no_time_for_a_second,
    ),
    Rule(
        "timeout",
        "timeout",
        "the inner limit is not shorter, and never ends a call: leave it out, or make it shorter",
        _no_shorter,
    ),
    Rule(
        "timeout",
        "hedge",
        "the time is over before another attempt would begin: raise the limit or shorten the delay",
        _over_before_hedge,
    ),
    Rule(
        "hedge",
        "timeout",
        "each call has ended before another attempt would begin: raise the limit or shorten the delay",
        _hedged_too_late,
    ),
    Rule(
        "hedge",
        "retry",
        "it takes backoffs for slowness, and then begins another series of attempts without a backoff: put the retry "
        "outside",
        _times_waits,
    ),
    Rule("adaptive_limit", "retry", _ITS_OWN_WAIT, _learns_from_waits),
    Rule("adaptive_limit", "rate_limit", _ITS_OWN_LIMIT, _learns_from_own_limits),
    Rule("adaptive_limit", "bulkhead", _ITS_OWN_LIMIT, _learns_from_own_limits),
    Rule(
        "retry",
        "retry",
        "their attempts multiply, three times three are nine: leave one out, or let them repeat different errors",
        _same_errors,
    ),
)
_WAITS = ("retry", "rate_limit", "bulkhead", "adaptive_limit")
_MEETS_CHAOS = ("cache", "fallback", "hedge", "retry", "circuit_breaker", "timeout")

RULES: tuple[Rule, ...] = (
    *_PAIRS,
    *(Rule("circuit_breaker", inner, _ITS_OWN_WAIT, _times_waits_by_slowness) for inner in _WAITS),
    *(Rule("chaos", inner, _UNTESTED) for inner in _MEETS_CHAOS),
)
"""All rules."""
