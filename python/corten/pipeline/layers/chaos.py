"""Harm done to calls on purpose: waits, errors, other results."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from corten import _core
from corten.clock import Clock
from corten.errors import CortenError
from corten.event_loop import in_event_loop
from corten.pipeline.controls.chaos import ChaosControl
from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.layers.layer import PipelineContext, WrapContext, Wrapped
from corten.pipeline.stages.stage import Input, missing_parameter
from corten.pipeline.telemetry.events import PipelineEvents
from corten.policies.chaos import Chaos, made
from corten.policies.policy import Policy

_log = logging.getLogger("corten.pipeline")


class ChaosLayer:
    """Chaos. A call that is spared goes on without a frame of ours."""

    kind = "chaos"

    def __init__(self, policy: Chaos) -> None:
        self.policy = policy
        self._errors = policy.errors()
        self.state = ChaosControl(self._decisions(None))

    def _decisions(self, previous: _core.Chaos | None) -> _core.Chaos:
        policy = self.policy
        return _core.Chaos(
            policy.seed if policy.seed is not None else int.from_bytes(os.urandom(8), "big"),
            policy.error_rate,
            len(self._errors),
            policy.result_rate,
            policy.latency_rate,
            policy.latency,
            policy.max_latency if policy.max_latency is not None else policy.latency,
            previous,
        )

    def keep(self, state: object) -> object:
        """Count on from what a predecessor did."""
        if isinstance(state, ChaosControl):
            self.state = ChaosControl(self._decisions(state.core))
        return self.state

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """It must know the parameter by which it chooses."""
        return missing_parameter("chaos", "chooses by", self.policy.key, signature, function)

    def admission(self, context: PipelineContext) -> Harm:
        """What it does before a block or an iteration: it makes it wait, or fail."""
        return Harm(self, context)

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Put it around what is inside."""
        inside, harm = wrap_context.inside, Harm(self, wrap_context.pipeline)
        decide = harm.decide

        def around(args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...] = ()) -> Any:
            if (injection := decide(inputs)) is None:
                return inside(*args, **kwargs)
            return harmed(injection, args, kwargs)

        async def harmed(injection: Injection, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            await harm.wait(injection)
            return harm.result if harm.replaces(injection) else await inside(*args, **kwargs)

        def around_sync(args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...] = ()) -> Any:
            if (injection := decide(inputs)) is not None:
                harm.block(injection)
                if harm.replaces(injection):
                    return harm.result
            return inside(*args, **kwargs)

        is_sync = wrap_context.signature.flavor == "sync"
        return Wrapped(texts.LAYERED, {"around": around_sync if is_sync else around}, harm.inputs)


Injection = tuple[float, int | None]
"""Seconds to wait, and then the number of an error, -1 for another result, or None."""


class Harm:
    """Carries out what the core decided about a call, and tells it."""

    def __init__(self, layer: ChaosLayer, context: PipelineContext) -> None:
        policy = layer.policy
        self.result = policy.result
        self.inputs: tuple[Input, ...] = () if policy.key is None else (policy.key,)
        self._decide = layer.state.core.decide
        self._keys = policy.keys
        self._errors = policy.errors()
        self._pipeline = context.name
        self._clock: Clock = context.clock
        self._events: PipelineEvents = context.events

    def decide(self, inputs: tuple[Any, ...] = ()) -> Injection | None:
        """What is done to the next call; None: nothing."""
        if inputs and inputs[0] not in self._keys:
            return None
        return self._decide()

    async def before(self, inputs: tuple[Any, ...]) -> None:
        """Harm a block or an iteration before its first step.

        :raises Exception: what it is made to fail with
        """
        if (injection := self.decide(inputs)) is not None:
            await self.wait(injection)
            self.replaces(injection)

    def before_sync(self, inputs: tuple[Any, ...]) -> None:
        """The same in a thread."""
        if (injection := self.decide(inputs)) is not None:
            self.block(injection)
            self.replaces(injection)

    async def wait(self, injection: Injection) -> None:
        """Make the call wait, if it has to."""
        if injection[0] > 0:
            await self._clock.sleep(injection[0])

    def block(self, injection: Injection) -> None:
        """Make a thread wait, if it has to.

        :raises CortenError: the thread runs an event loop, which would stand still
        """
        if injection[0] > 0:
            if in_event_loop():
                raise CortenError(
                    f"pipeline {self._pipeline!r}: chaos would make this plain function wait, in the thread of an "
                    "event loop: make it async, or call it in a worker thread"
                )
            self._clock.block(injection[0])

    def replaces(self, injection: Injection) -> bool:
        """Whether something else is returned in place of the call; told before anything comes of it.

        :raises Exception: what the call is made to fail with
        """
        seconds, instead = injection
        if instead is None:
            self._events.emit("injected", "chaos", seconds=seconds, words="latency")
            return False
        if instead < 0:
            self._events.emit("injected", "chaos", seconds=seconds, words="another result")
            return True
        error = made(self._errors[instead])
        self._events.emit("injected", "chaos", error, seconds=seconds)
        raise error


def spared(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """The policies without chaos: as they stand where it is not allowed."""
    return tuple(each for each in policies if not isinstance(each, Chaos))


def announcement(policies: Sequence[Policy]) -> str:
    """What harm the policies do, in words; empty where they do none."""
    return "; ".join(described(each) for each in policies if isinstance(each, Chaos))


def announce(pipeline: str, policies: Sequence[Policy], before: str, *, allowed: bool) -> str:
    """Say loudly what harm the policies do, if it is not what was said before; gives what is said now."""
    said = announcement(policies)
    if said and not allowed:
        _log.info("pipeline %r: its chaos policy is left out: nothing allows it", pipeline)
    elif said and said != before:
        _log.warning("pipeline %r: chaos is on: %s", pipeline, said)
    return said if allowed else ""


def described(policy: Chaos) -> str:
    """What it does, in words."""
    parts: list[str] = []
    if policy.error_rate:
        names = " or ".join(kind.__qualname__ for kind in policy.errors())
        parts.append(f"{_percent(policy.error_rate)} fail with {names}")
    if policy.result_rate:
        parts.append(f"{_percent(policy.result_rate)} return {policy.result!r}")
    if policy.latency_rate:
        longest = policy.max_latency if policy.max_latency is not None else policy.latency
        span = f"{policy.latency:g}" if longest == policy.latency else f"{policy.latency:g} to {longest:g}"
        parts.append(f"{_percent(policy.latency_rate)} wait {span} s")
    who = "" if policy.key is None else f" where {policy.key} is {' or '.join(map(repr, policy.keys))}"
    return f"of the calls{who} {', '.join(parts) or 'none is harmed'}"


def _percent(rate: float) -> str:
    return f"{rate * 100:g} %"
