"""Orders of policies that are probably not meant, and why.

Only what makes a policy useless, or makes it say the opposite of what it seems to say, is here. Orders that are merely
unusual are left alone: who asks for one gets it.
"""

from __future__ import annotations

import os.path
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from corten.errors import PolicyOrderWarning

_OURS = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - pathlib takes longer to load than all of this


class Pair(NamedTuple):
    """Two policies of a pipeline, and all that stand inside of the inner one."""

    outer: Any
    inner: Any
    inside: tuple[Any, ...]


def _always(_: Pair) -> bool:
    return True


class Rule(NamedTuple):
    """Two policies that are probably not meant to stand so."""

    outer: str
    inner: str
    reason: str
    """What comes of it, and what to do."""
    applies: Callable[[Pair], bool] = _always
    """Not for everyone of them."""

    @property
    def name(self) -> str:
        """As the documentation calls it."""
        return f"{self.outer} outside {self.inner}"


def kind_of(policy: object) -> str:
    """Return the policy's kind; empty where it is no policy."""
    return str(getattr(policy, "kind", ""))


def _has(policy: object, *fields: str) -> bool:
    return any(getattr(policy, field, None) for field in fields)


def _waits(policy: object) -> bool:
    """Whether calls may spend time in a policy itself."""
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


_NO_CALL = "it never sees a call fail, for the fallback makes a result of every error: put the fallback outside"
_ITS_OWN_WAIT = (
    "it times calls together with what they wait in the policy inside, and so takes a queue of yours for slowness of "
    "the other side: put it inside"
)
_ITS_OWN_LIMIT = (
    "it takes what a limit of yours refuses or makes wait for signs that the other side has too much to do, and "
    "shrinks: put it inside"
)
_UNTESTED = "the policy inside never meets what chaos does: put chaos innermost"

_PAIRS: tuple[Rule, ...] = (
    Rule(
        "rate_limit",
        "cache",
        "what the cache has costs a token all the same, and is refused when there is none: put the cache outside, or "
        "give the limit a key if it is to count callers",
        _for_all_callers,
    ),
    Rule(
        "bulkhead",
        "cache",
        "what the cache has is refused while other calls take all places: put the cache outside",
    ),
    Rule(
        "adaptive_limit",
        "cache",
        "what the cache has is refused while other calls take all places, and is so fast that the limit learns nothing "
        "of the rest: put the cache outside",
    ),
    Rule(
        "circuit_breaker",
        "cache",
        "while it is open even what the cache has is refused, and while it is closed every hit counts as a success: "
        "put the cache outside",
    ),
    Rule(
        "hedge",
        "cache",
        "a further call for the same arguments waits for the one that is under way, and so can't be faster: put the "
        "cache outside",
    ),
    Rule(
        "retry",
        "cache",
        "the cache keeps the result that on_result repeats, and gives it to every further attempt: put the cache "
        "outside",
        _repeats_results,
    ),
    Rule(
        "cache",
        "fallback",
        "the cache keeps what the fallback gave, also when calls succeed again: put the fallback outside, or let the "
        "cache itself give out stale results",
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
        "the first failure gives the fallback's result, which wins against the call that is still under way: put the "
        "fallback outside",
        _catches_all,
    ),
    Rule(
        "timeout",
        "fallback",
        "when the time is over the fallback is cancelled with the rest, and nothing is fallen back on: put the "
        "fallback outside, or another time limit inside",
        _should_catch_timeouts,
    ),
    Rule(
        "timeout",
        "circuit_breaker",
        "calls that take too long are no failures to a breaker inside the time limit, for it sees them cancelled: put "
        "a time limit inside the breaker",
        _nothing_ends_it_inside,
    ),
    Rule(
        "timeout",
        "retry",
        "the first wait alone may be as long as the limit, so that there is no time for a second attempt: raise the "
        "limit, shorten the wait, or put the limit inside if it is for each attempt",
        _no_time_for_a_second,
    ),
    Rule(
        "timeout",
        "timeout",
        "the inner limit is no shorter, and never decides anything: leave it out, or make it shorter",
        _no_shorter,
    ),
    Rule(
        "timeout",
        "hedge",
        "the time is over before a further call would be made: raise the limit or shorten the delay",
        _over_before_hedge,
    ),
    Rule(
        "hedge",
        "timeout",
        "each call has ended before a further one would be made: raise the limit or shorten the delay",
        _hedged_too_late,
    ),
    Rule(
        "hedge",
        "retry",
        "it takes the waits between attempts for slowness, and then makes a further series of attempts without any "
        "wait: put the retry outside",
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
"""All that is warned of."""

_BY_KINDS = {(rule.outer, rule.inner): rule for rule in RULES}


def misplaced(policies: Sequence[object]) -> Iterator[Rule]:
    """The rules that an order breaks, each once."""
    seen: set[str] = set()
    for place, outer in enumerate(policies):
        for further, inner in enumerate(policies[place + 1 :], place + 1):
            rule = _BY_KINDS.get((kind_of(outer), kind_of(inner)))
            if rule is None or rule.name in seen:
                continue
            if rule.applies(Pair(outer, inner, tuple(policies[further + 1 :]))):
                seen.add(rule.name)
                yield rule


def warn_of_order(pipeline: str, policies: Sequence[object], said: set[str]) -> None:
    """Warn of what is probably not meant, at the line that made the pipeline.

    :param said: names of rules that were warned of already; added to
    """
    for rule in misplaced(policies):
        if rule.name not in said:
            said.add(rule.name)
            warnings.warn(PolicyOrderWarning(pipeline, rule.name, rule.reason), stacklevel=_level())


def _level() -> int:
    """How many frames up from `warn_of_order` the user's code is."""
    frame, level = sys._getframe(1), 1  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame, level = frame.f_back, level + 1
    return level
