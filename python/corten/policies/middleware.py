"""Middleware: the open slot, for what no other policy does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from corten.policies.fields.callables import resolve_function
from corten.policies.fields.struct import PolicyFields

if TYPE_CHECKING:
    MiddlewareFunction = Callable[["CallNext", "MiddlewareDetails"], Any] | str
    """A function around calls, or where one is found: ``"package.module:function"``."""
else:
    MiddlewareFunction = str  # what settings can hold; a struct does not check what code passes

CallNext = Callable[..., Any]
"""What is further inside: ``await call_next()``, without ``await`` around plain functions.

It may be called with other `MiddlewareDetails`, with whose arguments the call is made then; and more than once.
"""


class MiddlewareDetails(msgspec.Struct, frozen=True):
    """What a middleware is told of a call; ``msgspec.structs.replace(details, args=…)`` gives one with others."""

    pipeline: str
    function: str
    """The guarded function's qualified name."""
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Middleware(PolicyFields, frozen=True, tag_field="policy", tag="middleware"):
    """Puts a function of yours around calls, at this place among the policies.

    The slow path: an object, a closure and a coroutine more for each call, where the other policies cost none. What it
    raises is what the call raises, and what it returns is the call's result, to the policies outside of it as well.
    """

    former_tags: ClassVar = ("custom",)
    renamed_fields: ClassVar = {"middleware": "function"}

    function: MiddlewareFunction
    """``async def middleware(call_next, details): return await call_next()``; a plain one around plain functions."""

    def __post_init__(self) -> None:
        self.resolve()

    def resolve(self) -> Callable[[CallNext, MiddlewareDetails], Any]:
        """The middleware itself; a name is imported.

        :raises ValueError: the name leads nowhere, or to what can't be called
        """
        return resolve_function("middleware", "function", self.function)
