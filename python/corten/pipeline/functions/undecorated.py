"""Wrappers of functions that are called under a pipeline without being decorated."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar, cast

from corten.pipeline.functions.signature import flavor_of, name_of

R = TypeVar("R")

_REMEMBERED = 256
"""Wrappers kept, of the functions called last."""

Verb = Literal["call", "call_sync"]


class Undecorated:
    """The wrappers of one pipeline's undecorated functions."""

    def __init__(self) -> None:
        # Each operation on it is atomic, also with other threads.
        self._wrappers: OrderedDict[Any, Callable[..., Any]] = OrderedDict()

    def wrapper(self, function: Any, verb: Verb, guard: Callable[[Any], Any]) -> Callable[..., Any]:
        """Return the wrapper of a function, new if need be."""
        key: object = (verb, function)
        try:
            hash(key)
        except TypeError:  # the wrapper keeps the function alive, so no other object gets its id
            key = (verb, id(function))
        if (found := self._wrappers.get(key)) is None:
            # Where another thread made one meanwhile, use that one: it may have cached results.
            found = self._wrappers.setdefault(key, guard(function))
            while len(self._wrappers) > _REMEMBERED:
                self._wrappers.popitem(last=False)
            return found
        try:  # noqa: SIM105 - a context manager takes longer than the rest of this method
            self._wrappers.move_to_end(key)
        except KeyError:  # another thread evicted it
            pass
        return found


def sync(pipeline: str, function: Callable[..., R]) -> Callable[..., R]:
    """Return a function, which must be sync.

    :raises TypeError: its result has to be awaited
    """
    if flavor_of(function) != "sync":
        raise TypeError(
            f"pipeline {pipeline!r}: {name_of(function)} is not a sync function: write `await pipeline.call(…)`, or "
            "decorate it"
        )
    return function


def awaited(pipeline: str, function: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
    """Return a coroutine function around any function but a generator.

    :raises TypeError: it is an async generator function, or can't be called
    """
    if not callable(cast("object", function)):
        way = "give the function and its arguments: call(fn, 1)" if inspect.isawaitable(function) else "give a function"
        raise TypeError(f"pipeline {pipeline!r}: {function!r} can't be called; {way}")
    if flavor_of(function) == "async_generator":
        raise TypeError(f"pipeline {pipeline!r}: {name_of(function)} is an async generator function: decorate it")
    if inspect.iscoroutinefunction(function):
        return function

    async def call(*args: Any, **kwargs: Any) -> Any:
        result: Any = function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    call.__name__ = str(getattr(function, "__name__", type(function).__name__))
    call.__qualname__ = str(getattr(function, "__qualname__", call.__name__))
    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call
