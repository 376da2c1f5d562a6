"""Compiling policies into layers in Python and segments of the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from corten.pipeline.compile.budget import shared_budget
from corten.pipeline.controls.control import Control
from corten.pipeline.controls.named import Shareable
from corten.pipeline.layers import LAYERS, SHARED_LAYERS, KeepsState, Layer, PipelineContext
from corten.pipeline.layers.layer import Position, positions
from corten.pipeline.segments.segment import Segment
from corten.pipeline.stages import STAGES, Compiled
from corten.policies.cache import Cache
from corten.policies.combined.policy import Policy


class Compilation(msgspec.Struct, frozen=True):
    """Compiled policies that are not in force yet."""

    layers: tuple[Layer, ...]
    """Outermost first."""
    state: Mapping[Position, Control]
    changes: Sequence[Callable[[], object]]
    """Apply the new settings to state that stays."""
    context: PipelineContext
    """With the budget of the policies."""


class Compiler:
    """Compiles policies again and again, and keeps state by position."""

    def __init__(self) -> None:
        self._state: Mapping[Position, Control] = {}
        self._context: PipelineContext | None = None

    def prepare(self, policies: Sequence[Policy], context: PipelineContext) -> Compilation:
        """Compile policies into layers, outermost first.

        Stages of the core between two layers in Python become one segment. Nothing changes before :meth:`commit`. The
        outermost segment counts the calls. Only a cache stands outside of it, and counts its hits itself.

        :raises ValueError: a policy can't be compiled, there are too many, or two share a name
        """
        # Times of one clock mean nothing to another.
        before = self._context if self._context is not None and self._context.clock is context.clock else None
        kept: Mapping[Position, Any] = {} if before is None else self._state
        context = replace(context, budget=shared_budget(policies, None if before is None else before.budget, context))
        state: dict[Position, Control] = {}
        changes: list[Callable[[], object]] = []
        segments: list[tuple[Layer | None, list[Compiled]]] = [(None, [])]
        for policy in policies:
            if type(policy) not in LAYERS and type(policy) not in STAGES:
                raise ValueError(f"pipeline {context.name!r}: {_unknown(policy)}")
        for policy, position in zip(policies, positions(policy.kind for policy in policies), strict=True):
            if (make := LAYERS.get(type(policy))) is not None:
                layer = make(policy)
                if isinstance(layer, KeepsState):
                    state[position] = layer.keep(kept.get(position))
                segments.append((layer, []))
            else:
                old = kept.get(position)
                if isinstance(policy, Shareable):  # with a name it may belong to other pipelines too
                    old = context.breakers.find(policy, context.name, context.clock, old)
                    if any(each is old for each in state.values()):
                        raise ValueError(
                            f"pipeline {context.name!r}: {policy.kind} {policy.name!r} stands in it twice: policies "
                            "of one name are one, which a call would have to pass while it holds it; leave one out, "
                            "or rename it"
                        )
                compiled = STAGES[type(policy)]().compile_stage(policy, old, context.clock)
                if compiled.state is not None:
                    state[position] = compiled.state
                if compiled.change is not None:
                    changes.append(compiled.change)
                share = SHARED_LAYERS.get(type(policy))
                shared = None if share is None else share(policy, compiled, context, position[1])
                if shared is not None:
                    segments.append((shared, []))
                else:
                    segments[-1][1].append(compiled)
        if len(segments) > 1 and not segments[0][1] and isinstance(policies[0], Cache):
            del segments[0]
        layers: list[Layer] = []
        for index, (outer, stages) in enumerate(segments):
            if outer is not None:
                layers.append(outer)
            if stages or index == 0:
                layers.append(Segment(context, stages, counts_calls=index == 0))
        return Compilation(tuple(layers), state, changes, context)

    def commit(self, compiled: Compilation) -> None:
        """Put what was prepared in force."""
        for change in compiled.changes:
            change()
        self._state, self._context = compiled.state, compiled.context

    def controls(self) -> dict[str, tuple[Any, ...]]:
        """Return the controls of the policies by their kind, outermost first."""
        found: dict[str, tuple[Any, ...]] = {}
        for (kind, _), control in self._state.items():
            found[kind] = (*found.get(kind, ()), control)
        return found


def _unknown(policy: object) -> str:
    if isinstance(policy, type):
        return f"{policy.__name__} is a class: write {policy.__name__}(), with what it is to do"
    if isinstance(policy, list | tuple):
        kind = "list" if isinstance(policy, list) else "tuple"
        return f"a {kind} is not a policy; write them one by one, or *policies"
    return f"{policy!r} is not a policy that a pipeline knows; expected one such as Retry(max_attempts=3)"
