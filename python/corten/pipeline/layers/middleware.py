"""Middleware: a user's function around each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature, flavor_of, name_of
from corten.pipeline.functions.traceback import trimmed
from corten.pipeline.layers.layer import WrapContext, Wrapped
from corten.policies.middleware import Middleware, MiddlewareDetails


class MiddlewareLayer:
    """A user's function around calls.

    No code here awaits async functions, so their tracebacks show no frame of Corten.
    """

    kind = "middleware"

    def __init__(self, policy: Middleware) -> None:
        self._middleware = policy.resolve()

    def objection(self, signature: FunctionSignature, function: str) -> str | None:
        """Return an error unless function and middleware are both async or sync."""
        name = name_of(self._middleware)
        try:
            is_async = flavor_of(self._middleware) != "sync"
        except TypeError:
            return f"middleware: {name} is a generator function: it must return the result of call_next()"
        if signature.flavor == "sync" and is_async:
            return f"middleware: {name} is async, and {function} is a sync function: write the middleware with `def`"
        if signature.flavor != "sync" and not is_async:
            return f"middleware: {name} is a sync function, and {function} is async: write it with `async def`"
        return None

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        """Return the wrapper that calls the middleware."""
        middleware, pipeline, function = self._middleware, wrap_context.pipeline.name, wrap_context.function_name
        is_sync = wrap_context.signature.flavor == "sync"
        inside = _trimming(wrap_context.inside) if is_sync else wrap_context.inside

        def around(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            details = MiddlewareDetails(pipeline, function, args, kwargs)

            def call_next(changed: MiddlewareDetails = details, /) -> Any:
                return inside(*changed.args, **changed.kwargs)

            return middleware(call_next, details)

        return Wrapped(texts.LAYERED, {"around": around})


def _trimming(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a sync function without Corten's frames in its tracebacks."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            error.__traceback__ = trimmed(error)
            raise

    return call
