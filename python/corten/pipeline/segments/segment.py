"""Segments: policies between two layers, which the core runs in one crossing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from corten import _core
from corten.events.observer import CallDetails
from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.layers.layer import PipelineContext, WrapContext, Wrapped
from corten.pipeline.segments.carry_out import carry_out_with
from corten.pipeline.segments.fallbacks import Fallbacks
from corten.pipeline.segments.reentry import Places
from corten.pipeline.segments.sync import run_sync_with
from corten.pipeline.stages.stage import Compiled, Input
from corten.policies.fields.idempotence import is_idempotent

if TYPE_CHECKING:
    from collections.abc import Generator


class Segment:
    """Compiled policies without a layer of Python between them.

    :param counts_calls: whether this is the outermost segment, which counts the pipeline's calls
    :param once: repeat no attempt that has begun
    """

    kind = ""

    def __init__(
        self, context: PipelineContext, compiled: Sequence[Compiled], *, counts_calls: bool, once: bool = False
    ) -> None:
        self.context = context
        self.once = once
        self.compiled = tuple(compiled)
        self.counts_calls = counts_calls
        inputs = [(index, *each) for index, stage in enumerate(compiled) for each in stage.inputs]
        self.inputs: tuple[Input, ...] = tuple(each for _, _, each in inputs)
        """What each call brings, in the order of the core's inputs."""
        self.core = _core.Segment(
            context.name,
            context.clock,
            context.counts,
            [each.stage for each in compiled],
            counts_calls,
            [(index, what) for index, what, _ in inputs],
            context.events.emit,
            context.budget,
            once,
        )

    def objection(self, signature: FunctionSignature, function: str) -> str | None:  # noqa: ARG002 - as every layer
        """Return None: the policies are asked one by one."""
        return None

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Wrap the function further inside."""
        if not self.once and not is_idempotent(wrap_context.function):
            return Segment(self.context, self.compiled, counts_calls=self.counts_calls, once=True).wrap(wrap_context)
        name, signature = wrap_context.function_name, wrap_context.signature
        fallbacks = Fallbacks(self.compiled, signature, name, self.context.clock, wrap_context.kept)
        places = Places(tuple(each.state for each in self.compiled))
        names: dict[str, Any] = {"function": wrap_context.inside, "places": places}
        if signature.flavor == "sync":
            text = texts.RUN_SYNC
            names["run_sync"] = run_sync_with(self, fallbacks)
        else:
            text = texts.RUN
            names["run"] = self.core.run_keyed if self.inputs else self.core.run
            names["Call"], names["type"] = _core.Call, type
            names["carry_out"] = carry_out_with(self, fallbacks)
            if fallbacks.last_good:
                text, names["remember"] = texts.remembered(text), fallbacks.remember
        if self.context.observers and self.counts_calls:
            text, names["observe"] = texts.observed(text), observation(self.context, name)
        return Wrapped(text, names, self.inputs, kept=fallbacks)


def observation(context: PipelineContext, function: str) -> Callable[[], AbstractContextManager[object]]:
    """Return the context manager that observers put around each call."""
    details = CallDetails(context.name, function)
    calls = [each.call for each in context.observers if each.call is not None]
    if len(calls) == 1:
        only = calls[0]
        return lambda: only(details)

    @contextmanager
    def observe() -> Generator[None]:
        with ExitStack() as stack:
            for call in calls:
                stack.enter_context(call(details))
            yield

    return observe
