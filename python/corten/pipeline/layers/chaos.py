"""Chaos: calls disturbed on purpose by waits, errors and other results."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from corten import _core
from corten.clock import Clock
from corten.pipeline.controls.chaos import ChaosControl
from corten.pipeline.controls.control import Control
from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.layers.layer import PipelineContext, WrapContext, Wrapped
from corten.pipeline.segments.waiting import refuse_to_block
from corten.pipeline.stages.stage import Input, missing_parameter
from corten.pipeline.telemetry.events import PipelineEvents
from corten.policies.chaos import Chaos, made
from corten.policies.combined.policy import Policy

_log = logging.getLogger("corten.pipeline")


class ChaosLayer:
    """Chaos as a layer; undisturbed calls get no frame."""

    kind = "chaos"

    def __init__(self, policy: Chaos) -> None:
        self.policy = policy
        self._errors = policy.errors()
        self.state = ChaosControl(self._made_after(None))

    def _made_after(self, previous: _core.Chaos | None) -> _core.Chaos:
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

    def keep(self, state: Control | None) -> Control:
        """Take over the counts of the layer before."""
        if isinstance(state, ChaosControl):
            self.state = ChaosControl(self._made_after(state.core))
        return self.state

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """Return an error if ``key`` is no parameter of the function."""
        return missing_parameter("chaos", "chooses by", self.policy.key, signature, function)

    def admission(self, context: PipelineContext) -> Injector:
        """Return the injector for blocks and iterations."""
        return Injector(self, context)

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Return the wrapper that disturbs calls."""
        inside, injector = wrap_context.inside, Injector(self, wrap_context.pipeline)
        decide = injector.decide

        def around(args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...] = ()) -> Any:
            if (injection := decide(inputs)) is None:
                return inside(*args, **kwargs)
            return disturbed(injection, args, kwargs)

        async def disturbed(injection: Injection, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            await injector.wait(injection)
            return injector.result if injector.replaces(injection) else await inside(*args, **kwargs)

        def around_sync(args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Any, ...] = ()) -> Any:
            if (injection := decide(inputs)) is not None:
                injector.block(injection)
                if injector.replaces(injection):
                    return injector.result
            return inside(*args, **kwargs)

        is_sync = wrap_context.signature.flavor == "sync"
        return Wrapped(texts.LAYERED, {"around": around_sync if is_sync else around}, injector.inputs)


Injection = tuple[float, int | None]
"""Seconds to wait, and then the index of an error, -1 for another result, or None."""


class Injector:
    """Disturbs calls as the core decides, and emits events."""

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
        """Return the injection of the next call, or None."""
        if inputs and inputs[0] not in self._keys:
            return None
        return self._decide()

    async def before(self, inputs: tuple[Any, ...]) -> None:
        """Disturb a block or an iteration before its first step.

        :raises Exception: the injected error
        """
        if (injection := self.decide(inputs)) is not None:
            await self.wait(injection)
            self.replaces(injection)

    def before_sync(self, inputs: tuple[Any, ...]) -> None:
        """Disturb a sync block before it begins."""
        if (injection := self.decide(inputs)) is not None:
            self.block(injection)
            self.replaces(injection)

    async def wait(self, injection: Injection) -> None:
        """Sleep for the injected latency, if any."""
        if injection[0] > 0:
            await self._clock.sleep(injection[0])

    def block(self, injection: Injection) -> None:
        """Block the thread for the injected latency, if there is any.

        :raises CortenError: the thread runs an event loop, which it would stop
        """
        if injection[0] > 0:
            refuse_to_block(self._pipeline)
            self._clock.block(injection[0])

    def replaces(self, injection: Injection) -> bool:
        """Return whether another result replaces the call's; emits the event first.

        :raises Exception: the injected error
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


def without_chaos(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """Return the policies without chaos, for pipelines that don't allow it."""
    return tuple(each for each in policies if not isinstance(each, Chaos))


def announcement(policies: Sequence[Policy]) -> str:
    """Describe the chaos of the policies; empty without chaos."""
    return "; ".join(described(each) for each in policies if isinstance(each, Chaos))


def announce(pipeline: str, policies: Sequence[Policy], before: str, *, allowed: bool) -> str:
    """Warn of chaos at each change; return the announcement."""
    text = announcement(policies)
    if text and not allowed:
        _log.info("pipeline %r: its chaos policy is left out: it is not allowed", pipeline)
    elif text and text != before:
        _log.warning("pipeline %r: chaos is on: %s", pipeline, text)
    return text if allowed else ""


def described(policy: Chaos) -> str:
    """Describe a chaos policy."""
    parts: list[str] = []
    if policy.error_rate:
        names = " or ".join(kind.__qualname__ for kind in policy.errors())
        parts.append(f"{_percent(policy.error_rate)} fail with {names}")
    if policy.result_rate:
        parts.append(f"{_percent(policy.result_rate)} return {policy.result!r}")
    if policy.latency_rate:
        longest = policy.max_latency if policy.max_latency is not None else policy.latency
        seconds = f"{policy.latency:g}" if longest == policy.latency else f"{policy.latency:g} to {longest:g}"
        parts.append(f"{_percent(policy.latency_rate)} wait {seconds} s")
    which = "" if policy.key is None else f" where {policy.key} is {' or '.join(map(repr, policy.keys))}"
    return f"of the calls{which} {', '.join(parts) or 'none is disturbed'}"


def _percent(rate: float) -> str:
    return f"{rate * 100:g} %"
