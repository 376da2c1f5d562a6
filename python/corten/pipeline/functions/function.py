"""A guarded function: its wrapper, and the layers inside of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from msgspec.structs import replace

from corten.errors import CortenError
from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import Flavor, FunctionSignature, name_of, signature_of
from corten.pipeline.functions.traceback import TITLE
from corten.pipeline.functions.wrapper import Wrapper
from corten.pipeline.layers import LAYERS, Layer, PipelineContext, WrapContext, Wrapped
from corten.pipeline.layers.layer import Position, positions
from corten.pipeline.stages import STAGES
from corten.policies.combined.policy import Policy


def without_policies(pipeline: str) -> str:
    """Return the error text for a pipeline without policies."""
    return (
        f"pipeline {pipeline!r} has no policies yet: they come from [pipelines.{pipeline}] of the settings when its "
        "App starts; without an App give it some, such as Timeout(2)"
    )


class GuardedFunction:
    """A user's function under a pipeline, and its wrapper.

    The outermost layer runs in the wrapper that users call; each further layer is a wrapper inside of it.

    :param owner: the pipeline, kept alive as long as the function
    """

    def __init__(self, pipeline: str, function: Callable[..., Any], owner: object = None) -> None:
        self._pipeline = pipeline
        self._owner = owner
        self._original = function
        self._signature: FunctionSignature = signature_of(function)
        self._outer = self._wrapper()
        iterated = self._signature.flavor == "async_generator"
        text = texts.UNCONFIGURED_ITERATED if iterated else texts.UNCONFIGURED
        self._current = Wrapped(text, {"refuse": self._refuse})
        self._bypassed = False
        self._run(self._current)
        self._kept: dict[Position, object] = {}
        self.function = self._outer.function
        # The function keeps this object alive, so that new policies reach it.
        self._outer.keep(self)

    def _refuse(self) -> NoReturn:
        raise CortenError(without_policies(self._pipeline))

    def _wrapper(self) -> Wrapper:
        return Wrapper(self._original, self._signature, f"{TITLE} {self._pipeline}: {name_of(self._original)}")

    @property
    def original(self) -> Callable[..., Any]:
        """The user's function."""
        return self._original

    @property
    def flavor(self) -> Flavor:
        """The kind of object that a call returns."""
        return self._signature.flavor

    def kept(self, position: Position) -> object | None:
        """Return what the layer at a position keeps for this function."""
        return self._kept.get(position)

    def check(self, policies: Sequence[Policy]) -> None:
        """Check that policies can guard the function.

        :raises ValueError: a policy can't guard it
        """
        name = name_of(self._original)
        if self._signature.flavor == "async_generator":
            from corten.pipeline.blocks.held_policies import objection as block_objection

            if wrong := block_objection(policies, f"the async generator {name}"):
                raise ValueError(f"pipeline {self._pipeline!r}: {wrong}")
        for policy in policies:
            if (make := LAYERS.get(type(policy))) is not None:
                objection = make(policy).objection(self._signature, name)
            elif (compiler := STAGES.get(type(policy))) is not None:
                objection = compiler().objection(policy, self._signature, name)
            else:
                continue  # the compiler reports it
            if objection is not None:
                raise ValueError(f"pipeline {self._pipeline!r}: {objection}")

    def prepare(self, layers: Sequence[Layer], context: PipelineContext) -> Callable[[], None]:
        """Wrap the function in layers, and return what puts them in force.

        :raises ValueError: a layer can't guard the function
        """
        if self._signature.flavor == "async_generator":
            from corten.pipeline.blocks.generators import iterating

            iterated = iterating(self._original, layers, context)

            def commit_iterated() -> None:
                self._current = iterated
                if not self._bypassed:
                    self._run(iterated)

            return commit_iterated
        inside = self._called()
        at = positions(layer.kind for layer in layers)
        kept: dict[Position, object] = {}
        changes: list[Callable[[], object]] = []

        def wrap(index: int) -> Wrapped:
            before = self._kept.get(at[index])
            wrapped = layers[index].wrap(
                WrapContext(context, self._original, self._signature, inside, index == 0, before)
            )
            if wrapped.kept is not None:
                kept[at[index]] = wrapped.kept
            if wrapped.change is not None:
                changes.append(wrapped.change)
            return wrapped

        for index in reversed(range(1, len(layers))):
            wrapped, wrapper = wrap(index), self._wrapper()
            wrapper.become(wrapped.text, wrapped.names, wrapped.inputs, wrapped.key)
            inside = wrapper.function
        outermost = wrap(0)
        # Each inner wrapper adds frames to tracebacks, and so does a hedge.
        if len(layers) > (2 if layers[0].kind == "cache" else 1):
            outermost = replace(outermost, trims=True)

        def commit() -> None:
            for change in changes:
                change()
            self._kept = kept
            self._current = outermost
            if not self._bypassed:
                self._run(outermost)

        return commit

    def bypass(self, *, on: bool) -> None:
        """Leave out the layers from the next call on, or restore them."""
        self._bypassed = on
        self._run(self._bare() if on else self._current)

    def _bare(self) -> Wrapped:
        if self._signature.flavor == "async_generator":
            from corten.pipeline.blocks.generators import bare

            return bare(self._original)
        return Wrapped(texts.BYPASSED, {"function": self._original})

    def _run(self, wrapped: Wrapped) -> None:
        self._outer.become(wrapped.text, wrapped.names, wrapped.inputs, wrapped.key, trims=wrapped.trims)

    def _called(self) -> Callable[..., Any]:
        """Return a coroutine function; other awaitables are made after admission."""
        function = self._original
        if self._signature.flavor != "awaitable":
            return function

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return call
