"""From policies as data to layers that a call goes through: those of Python, and runs of stages of the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from corten._core import RetryBudget
from corten.clock import Clock
from corten.pipeline.compile.budget import shared_budget
from corten.pipeline.layers import LAYERS, SHARED_LAYERS, KeepsState, Layer, PipelineContext
from corten.pipeline.segments.segment import Run
from corten.pipeline.stages import STAGES, Compiled
from corten.policies.bulkhead import Bulkhead
from corten.policies.cache import Cache
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.policy import Policy

Place = tuple[str, int]
"""A policy's word, and which among its like it is: what finds its state when policies change."""


class Compilation(msgspec.Struct, frozen=True):
    """Policies that were compiled and don't hold yet."""

    layers: tuple[Layer, ...]
    """Outermost first."""
    state: Mapping[Place, Any]
    changes: Sequence[Callable[[], object]]
    """Of what is kept."""
    clock: Clock
    budget: RetryBudget | None
    """Of all further attempts."""


class Compiler:
    """Compiles policies again and again, keeping the state of those that stay: same word, same place among its like."""

    def __init__(self) -> None:
        self._state: dict[Place, Any] = {}
        self._clock: Clock | None = None
        self.budget: RetryBudget | None = None
        """Of all further attempts of the policies compiled last; None: there is none."""

    def prepare(self, policies: Sequence[Policy], context: PipelineContext) -> Compilation:
        """Compile policies: those of Python are layers of their own; what is between them is a run.

        Nothing changes before :meth:`commit`. The outermost run counts the calls: only a cache stands outside of it,
        which counts its hits itself.

        :raises ValueError: a policy can't be compiled, there are too many, or two share a name
        """
        kept = self._state if context.clock is self._clock else {}  # times of one clock mean nothing to another
        state: dict[Place, Any] = {}
        changes: list[Callable[[], object]] = []  # of what is kept: made only when all could be compiled
        budget = shared_budget(policies, self.budget if context.clock is self._clock else None, context)
        context = replace(context, budget=budget)
        runs: list[tuple[Layer | None, list[Compiled]]] = [(None, [])]
        seen: dict[str, int] = {}
        for policy in policies:
            make = LAYERS.get(type(policy))
            compiler = STAGES.get(type(policy))
            word = word_of(policy) if make is not None or compiler is not None else ""
            place = (word, seen.get(word, 0))
            seen[word] = place[1] + 1
            if make is not None:
                made = make(policy)
                if isinstance(made, KeepsState):
                    state[place] = made.keep(kept.get(place))
                runs.append((made, []))
                continue
            if compiler is None:
                raise ValueError(f"pipeline {context.name!r}: {_unknown(policy)}")
            old = kept.get(place)
            if isinstance(policy, CircuitBreaker | Bulkhead):  # one with a name is not this pipeline's alone
                old = context.breakers.find(policy, context.name, context.clock, old)
                if any(each is old for each in state.values()):
                    raise ValueError(
                        f"pipeline {context.name!r}: {word} {policy.name!r} stands in it twice: policies of one "
                        "name are one, which a call would have to pass while it holds it; leave one out, or rename it"
                    )
            compiled = compiler().compile_stage(policy, old, context.clock)
            if compiled.state is not None:
                state[place] = compiled.state
            if compiled.change is not None:
                changes.append(compiled.change)
            lift = SHARED_LAYERS.get(type(policy))
            if lift is not None and (lifted := lift(policy, compiled, context, place[1])) is not None:
                runs.append((lifted, []))
                continue
            runs[-1][1].append(compiled)
        if len(runs) > 1 and not runs[0][1] and isinstance(policies[0], Cache):
            del runs[0]
        layers: list[Layer] = []
        for index, (layer, run) in enumerate(runs):
            if layer is not None:
                layers.append(layer)
            if run or index == 0:
                layers.append(Run(context, run, counts_calls=index == 0))
        return Compilation(tuple(layers), state, changes, context.clock, budget)

    def commit(self, compiled: Compilation) -> None:
        """Let what was prepared hold."""
        for change in compiled.changes:
            change()
        self._state, self._clock, self.budget = dict(compiled.state), compiled.clock, compiled.budget

    def state_of(self, word: str) -> tuple[Any, ...]:
        """The state of all policies of a kind, in their order."""
        return tuple(state for (kind, _), state in self._state.items() if kind == word)


def word_of(policy: Policy) -> str:
    """The policy's word, as settings and errors have it."""
    return str(policy.__struct_config__.tag)


def _unknown(policy: object) -> str:
    if isinstance(policy, type):
        return f"{policy.__name__} is a class: write {policy.__name__}(), with what it is to do"
    if isinstance(policy, list | tuple):
        kind = "list" if isinstance(policy, list) else "tuple"
        return f"a {kind} is not a policy; write them one by one, or *policies"
    return f"{policy!r} is not a policy that a pipeline knows; expected one such as Retry(max_attempts=3)"
