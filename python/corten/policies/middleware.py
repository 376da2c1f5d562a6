"""Middleware: a function of the user's as a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from corten.policies.fields.callables import resolve_function
from corten.policies.fields.struct import PolicyFields

if TYPE_CHECKING:
    MiddlewareFunction = Callable[["CallNext", "MiddlewareDetails"], Any] | str
    """A function around calls, or its dotted name: ``"package.module:function"``."""
else:
    MiddlewareFunction = str  # what settings can hold; a struct does not check what code passes

CallNext = Callable[..., Any]
"""Makes the call: ``await call_next()``, without ``await`` for sync functions.

It may be called more than once, and with other `MiddlewareDetails`, whose arguments then go to the call.
"""


class MiddlewareDetails(msgspec.Struct, frozen=True):
    """A call, as a middleware sees it; change it by ``msgspec.structs.replace``."""

    pipeline: str
    function: str
    """The guarded function's qualified name."""
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Middleware(PolicyFields, frozen=True, tag_field="policy", tag="middleware"):
    """Calls a function of yours around each call, in the order of the policies.

    It is the slow path: unlike other policies it costs an object, a closure and a coroutine for each call. Its result
    and its errors are the call's, also to outer policies.
    """

    former_tags: ClassVar = ("custom",)
    renamed_fields: ClassVar = {"middleware": "function"}

    function: MiddlewareFunction
    """``async def middleware(call_next, details): return await call_next()``; a sync one for sync functions."""

    def __post_init__(self) -> None:
        self.resolve()

    def resolve(self) -> Callable[[CallNext, MiddlewareDetails], Any]:
        """Return the function; a name is imported.

        :raises ValueError: the name leads nowhere, or to an object that can't be called
        """
        return resolve_function("middleware", "function", self.function)
