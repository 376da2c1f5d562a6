"""A function of the user's around calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature, flavor_of, name_of
from corten.pipeline.functions.traceback import trimmed
from corten.pipeline.layers.layer import WrapContext, Wrapped
from corten.policies.middleware import Middleware, MiddlewareDetails


class MiddlewareLayer:
    """A middleware. Around what is awaited no function here awaits: so none is a frame in the tracebacks of errors."""

    kind = "middleware"

    def __init__(self, policy: Middleware) -> None:
        self._middleware = policy.resolve()

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """Around what is awaited it must be awaited as well, and around plain functions it must be plain."""
        name = name_of(self._middleware)
        try:
            awaited = flavor_of(self._middleware) != "sync"
        except TypeError:
            return f"middleware: {name} is a generator function: it must return what call_next() gave"
        if signature.flavor == "sync" and awaited:
            return f"middleware: {name} is awaited, and {function} is a plain function: write the middleware with `def`"
        if signature.flavor != "sync" and not awaited:
            return f"middleware: {name} is a plain function, and {function} is awaited: write it with `async def`"
        return None

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Put it around what is inside."""
        middleware, pipeline, function = self._middleware, wrap_context.pipeline.name, wrap_context.function_name
        plain = wrap_context.signature.flavor == "sync"
        inside = _trimming(wrap_context.inside) if plain else wrap_context.inside

        def around(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            details = MiddlewareDetails(pipeline, function, args, kwargs)

            def call_next(changed: MiddlewareDetails = details, /) -> Any:
                return inside(*changed.args, **changed.kwargs)

            return middleware(call_next, details)

        return Wrapped(texts.LAYERED, {"around": around})


def _trimming(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function whose frames of ours do not show in tracebacks: each of its layers would be one."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            error.__traceback__ = trimmed(error)
            raise

    return call
