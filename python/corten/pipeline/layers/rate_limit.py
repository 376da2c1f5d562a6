"""A rate limit that processes share through a plugin's backend."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any, cast

from corten.deadline import remaining
from corten.errors import CortenError, RateLimited
from corten.pipeline.controls.rate_limit import RateLimitControl
from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.layers.key_text import key_text
from corten.pipeline.layers.layer import Layer, PipelineContext, WrapContext, Wrapped
from corten.pipeline.segments.waiting import refuse_to_block
from corten.pipeline.stages.rate_limit import input_of
from corten.pipeline.stages.rate_limit import objection as stage_objection
from corten.pipeline.stages.stage import Compiled, Input
from corten.policies.rate_limit import RateLimit
from corten.rate_limit import KeyedLimiter, Limiter, LimiterBackend, SharedLimit, Verdict
from corten.rate_limit.limiter import tokens_returned_on_error

_log = logging.getLogger("corten.pipeline")


def shared_rate_limit(policy: RateLimit, compiled: Compiled, context: PipelineContext, place: int) -> Layer | None:
    """Return the layer of a shared policy; None without a backend, so that the policy is a stage."""
    if not policy.shared or not context.limiters:
        return None
    limiter = cast("RateLimitControl", compiled.state).limiter
    return SharedRateLimit(policy, limiter, context.limiters[0], f"rate_limit:{context.name}:{place}")


class SharedRateLimit:
    """A limit in a backend, with a limiter of this process in reserve.

    :param limiter: decides while the backend can't be reached, and for sync functions
    :param name: the backend's name of the limit
    """

    kind = "rate_limit"

    def __init__(self, policy: RateLimit, limiter: Limiter | KeyedLimiter, backend: LimiterBackend, name: str) -> None:
        self.policy = policy
        self.limiter = limiter
        self.backend = backend
        self.name = name
        inputs: list[Input] = []
        if policy.key is not None:
            inputs.append(input_of("key", policy.key))
        if not isinstance(policy.cost, int):
            inputs.append(input_of("cost", policy.cost))
        self.inputs = tuple(inputs)

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """Refuse a function without the parameters of key and cost."""
        return stage_objection(self.policy, signature, function)

    def admission(self, context: PipelineContext) -> SharedAdmission:
        """Return the admission of calls, blocks and iterations."""
        return SharedAdmission(self, context)

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Admit each call before the inner layers."""
        admission = self.admission(wrap_context.pipeline)

        def admit(_: None, inputs: tuple[Any, ...] = ()) -> Awaitable[None]:
            return admission.before(inputs)

        def admit_sync(_: None, inputs: tuple[Any, ...] = ()) -> None:
            admission.before_sync(inputs)

        names: dict[str, Any] = {"function": wrap_context.inside}
        names["admit"] = admit_sync if wrap_context.signature.flavor == "sync" else admit
        return Wrapped(texts.ADMITTED, names, self.inputs)


class SharedAdmission:
    """Admission by a shared limit, in one pipeline."""

    def __init__(self, layer: SharedRateLimit, context: PipelineContext) -> None:
        self.inputs = layer.inputs
        self._name = layer.name
        self._policy = layer.policy
        self._limiter = layer.limiter
        self._backend = layer.backend
        self._context = context

    async def before(self, inputs: tuple[Any, ...]) -> None:
        """Take the tokens of a call, and wait for them up to ``max_wait``.

        :raises RateLimited: the tokens are not there in time
        """
        key, n = self._key_and_cost(inputs)
        max_wait = self._max_wait()
        claim = 0
        try:
            granted, wait = await self._reserve(key, n, max_wait)
        except CortenError as error:
            self._degraded(error)
            granted, wait, claim = self._reserve_here(key, n, max_wait)
        if not granted:
            raise self._refusal("no token is left", wait)
        if wait > 0:
            with tokens_returned_on_error(self._cancel_here, key, claim, n):
                await self._context.clock.sleep(wait)

    def before_sync(self, inputs: tuple[Any, ...]) -> None:
        """Take the tokens of a sync call from this process's limiter: a sync function can't await a backend."""
        key, n = self._key_and_cost(inputs)
        granted, wait, claim = self._reserve_here(key, n, self._max_wait())
        if not granted:
            raise self._refusal("no token is left", wait)
        if wait > 0:
            with tokens_returned_on_error(self._cancel_here, key, claim, n):
                refuse_to_block(self._context.name)
                self._context.clock.block(wait)

    def _key_and_cost(self, inputs: tuple[Any, ...]) -> tuple[Any, int]:
        """Return the key and the cost of a call, checked as in the core."""
        policy = self._policy
        key = inputs[0] if policy.key is not None else None
        hash(key)
        n: Any = policy.cost if isinstance(policy.cost, int) else inputs[-1]
        if not isinstance(n, int) or n < 0 or n >= 2**64:
            raise ValueError(f"rate_limit: a call costs {n!r}; it must cost a whole number, 0 or more")
        if n > self._limiter.burst:
            raise self._refusal("the call costs more tokens than the limit ever holds", None)
        return key, n

    def _max_wait(self) -> float:
        left = remaining()
        return self._policy.max_wait if left is None else min(self._policy.max_wait, left)

    async def _reserve(self, key: object, n: int, max_wait: float) -> Verdict:
        limiter, counts, clock = self._limiter, self._limiter.shared, self._context.clock
        limit = SharedLimit(self._policy.algorithm, limiter.rate, limiter.burst)
        name = self._name
        if self._policy.key is not None:
            try:
                name += f":{key_text(key)}"
            except TypeError as error:
                raise TypeError(
                    f"rate_limit: the key {key!r} can't be shared, because it can't be written as JSON: {error}"
                ) from error
        verdict = await self._backend.reserve(name, limit, n, max_wait)
        if counts.degraded_since is not None:
            _log.info(
                "pipeline %s: the shared rate limit is kept by %s again, after %.3g s",
                self._context.name,
                self._backend.name,
                clock.now() - counts.degraded_since,
            )
            counts.degraded_since = None
        counts.count(granted=verdict.granted, waited=verdict.seconds > 0)
        return verdict

    def _degraded(self, error: CortenError) -> None:
        counts, context = self._limiter.shared, self._context
        counts.degraded += 1
        if counts.degraded_since is None:
            counts.degraded_since = context.clock.now()
            _log.warning(
                "pipeline %s: the shared rate limit can't be reached, so this process decides alone: %s",
                context.name,
                error,
            )
        context.events.emit("degraded", "rate_limit", error)

    def _reserve_here(self, key: object, n: int, max_wait: float) -> tuple[bool, float, int]:
        if isinstance(self._limiter, KeyedLimiter):
            return self._limiter.reserve(key, n, max_wait)
        return self._limiter.reserve(n, max_wait)

    def _cancel_here(self, key: object, claim: int, n: int) -> None:
        """Return tokens to this process's limiter; tokens of the backend are not returned."""
        if claim == 0:
            return
        if isinstance(self._limiter, KeyedLimiter):
            self._limiter.cancel(key, claim, n)
        else:
            self._limiter.cancel(claim, n)

    def _refusal(self, reason: str, retry_after: float | None) -> RateLimited:
        error = RateLimited(self._context.name, "rate_limit", reason, retry_after)
        self._context.events.emit("refused", "rate_limit", error, seconds=retry_after)
        return error
