"""One function under a pipeline: its wrapper, and what stands between that and the user's code."""

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
from corten.pipeline.stages import STAGES
from corten.policies.policy import Policy


def without_policies(pipeline: str) -> str:
    """What a call of a pipeline hears that settings should have configured."""
    return (
        f"pipeline {pipeline!r} has no policies yet: they come from [pipelines.{pipeline}] of the settings when its "
        "App starts; without an App give it some, such as Timeout(2)"
    )


class GuardedFunction:
    """A function of the user's and the one that stands in for it.

    The outermost layer is the wrapper itself; each further one is a wrapper between it and the function.

    :param owner: the pipeline itself, which lives as long as a function that it guards
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
        self._kept: dict[tuple[str, int], object] = {}
        self.function = self._outer.function
        # Whoever holds the function holds this as well, so that new policies reach it.
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
        """Whether it gives a coroutine, another awaitable, or a value."""
        return self._signature.flavor

    def kept(self, kind: str, place: int = 0) -> object | None:
        """What the layer of that kind, at that place among its like, keeps for this function."""
        return self._kept.get((kind, place))

    def check(self, policies: Sequence[Policy]) -> None:
        """Whether these policies can guard the function.

        :raises ValueError: they can't
        """
        name = name_of(self._original)
        if self._signature.flavor == "async_generator":
            from corten.pipeline.blocks.held_policies import objection as objection_of_spans

            if wrong := objection_of_spans(policies, f"the async generator {name}"):
                raise ValueError(f"pipeline {self._pipeline!r}: {wrong}")
        for policy in policies:
            if (make := LAYERS.get(type(policy))) is not None:
                objection = make(policy).objection(self._signature, name)
            elif (compiler := STAGES.get(type(policy))) is not None:
                objection = compiler().objection(policy, self._signature, name)
            else:
                continue  # the compiler says what it is instead
            if objection is not None:
                raise ValueError(f"pipeline {self._pipeline!r}: {objection}")

    def prepare(self, layers: Sequence[Layer], context: PipelineContext) -> Callable[[], None]:
        """Make layers between the wrapper and the function; from the call of what is given back on they hold.

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
        seen: dict[str, int] = {}
        places: list[tuple[str, int]] = []
        for layer in layers:
            places.append((layer.kind, seen.get(layer.kind, 0)))
            seen[layer.kind] = places[-1][1] + 1
        kept: dict[tuple[str, int], object] = {}
        changes: list[Callable[[], object]] = []

        def wrap(index: int) -> Wrapped:
            place = places[index]
            before = self._kept.get(place)
            wrapped = layers[index].wrap(
                WrapContext(context, self._original, self._signature, inside, index == 0, before)
            )
            if wrapped.kept is not None:
                kept[place] = wrapped.kept
            if wrapped.change is not None:
                changes.append(wrapped.change)
            return wrapped

        for index in reversed(range(1, len(layers))):
            wrapped, wrapper = wrap(index), self._wrapper()
            wrapper.become(wrapped.text, wrapped.names, wrapped.inputs, wrapped.key)
            inside = wrapper.function
        outermost = wrap(0)
        if len(layers) > (2 if layers[0].kind == "cache" else 1):  # each further wrapper is a frame, and so is a race
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
        """Call the function as if there were no layers, or with them again, from the next call on."""
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
        """The function as one whose coroutine can be driven: what else is awaitable is made once admitted."""
        function = self._original
        if self._signature.flavor != "awaitable":
            return function

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return call
