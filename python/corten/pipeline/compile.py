"""From policies as data to layers that a call goes through: caches, and runs of other policies in one crossing each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from corten import _core
from corten.clock import Clock
from corten.policies.bulkhead import Bulkhead
from corten.policies.cache import Cache
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.exceptions import resolve
from corten.policies.policy import Policy
from corten.policies.rate_limit import RateLimit
from corten.policies.retry import Retry
from corten.policies.timeout import Timeout

Stage = tuple[Any, ...]
"""A policy's word and what the core needs of it."""


class Stages(NamedTuple):
    """A run of policies without a cache between them."""

    core: _core.Pipeline
    stages: tuple[Stage, ...]
    keys: tuple[str, ...]
    """Parameters by which keyed limits count, in their order."""
    counts_calls: bool


Layer = Cache | Stages


class Compiler:
    """Compiles policies again and again, keeping the state of those that stay: same word, same place among its like."""

    def __init__(self) -> None:
        self._state: dict[tuple[str, int], Any] = {}
        self._clock: Clock | None = None

    def compile(
        self, name: str, policies: Sequence[Policy], clock: Clock, counts: _core.PipelineCounts
    ) -> tuple[Layer, ...]:
        """Layers, outermost first. A cache is one of its own, so that it is asked before what is inside it begins.

        :raises ValueError: a policy can't be compiled, or there are too many
        """
        kept = self._state if clock is self._clock else {}  # times of one clock mean nothing to another
        state: dict[tuple[str, int], Any] = {}
        changes: list[Callable[[], None]] = []  # of what is kept: made only when all could be compiled
        runs: list[tuple[Cache | None, list[tuple[Stage, str | None]]]] = [(None, [])]
        seen: dict[str, int] = {}
        for policy in policies:
            if isinstance(policy, Cache):
                runs.append((policy, []))
                continue
            if not hasattr(type(policy), "__struct_config__"):
                raise ValueError(_unknown(policy))
            word = str(policy.__struct_config__.tag)
            place = (word, seen.get(word, 0))
            seen[word] = place[1] + 1
            key = policy.key if isinstance(policy, RateLimit) else None
            runs[-1][1].append((self._stage(policy, place, kept, state, changes, clock), key))
        if len(runs) > 1 and not runs[0][1]:
            del runs[0]  # a cache is the outermost policy
        layers: list[Layer] = []
        for index, (cache, run) in enumerate(runs):
            if cache is not None:
                layers.append(cache)
            stages = tuple(stage for stage, _ in run)
            core = _core.Pipeline(name, clock, counts, stages, index == 0)
            layers.append(Stages(core, stages, tuple(key for _, key in run if key is not None), index == 0))
        for change in changes:
            change()
        self._state, self._clock = state, clock
        return tuple(layers)

    def state_of(self, word: str) -> tuple[Any, ...]:
        """The state of all policies of a kind, in their order."""
        return tuple(state for (kind, _), state in self._state.items() if kind == word)

    def _stage(
        self,
        policy: Policy,
        place: tuple[str, int],
        kept: dict[tuple[str, int], Any],
        state: dict[tuple[str, int], Any],
        changes: list[Callable[[], None]],
        clock: Clock,
    ) -> Stage:
        old = kept.get(place)
        match policy:
            case RateLimit():
                kind = _core.TokenBucket if policy.key is None else _core.KeyedTokenBucket
                if isinstance(old, kind):
                    changes.append(partial(old.replace, policy.rate, policy.burst))
                else:
                    old = kind(policy.rate, policy.burst, clock=clock)
                state[place] = old
                return ("rate_limit", old, policy.max_wait)
            case CircuitBreaker():
                if old is None:
                    old = _core.CircuitBreaker(policy.failures, policy.wait, policy.trials)
                else:
                    changes.append(partial(old.replace, policy.failures, policy.wait, policy.trials))
                state[place] = old
                return ("circuit_breaker", old, resolve(policy.on), resolve(policy.ignore))
            case Bulkhead():
                if old is None:
                    old = _core.Bulkhead(policy.max_concurrent, policy.max_waiting)
                else:
                    changes.append(partial(old.resize, policy.max_concurrent, policy.max_waiting))
                state[place] = old
                return ("bulkhead", old, policy.max_wait)
            case Retry():
                numbers = (
                    policy.max_attempts,
                    policy.wait,
                    policy.backoff,
                    policy.max_wait,
                    policy.jitter,
                    policy.max_time,
                )
                return ("retry", numbers, resolve(policy.on), resolve(policy.ignore))
            case Timeout():
                return ("timeout", policy.seconds)
            case _:
                raise ValueError(_unknown(policy))


def _unknown(policy: object) -> str:
    if isinstance(policy, type):
        return f"{policy.__name__} is a class: write {policy.__name__}(), with what it is to do"
    return f"{policy!r} is not a policy that a pipeline knows; expected one such as Retry(max_attempts=3)"
