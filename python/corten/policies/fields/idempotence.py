"""Marking functions that must not be done twice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__corten_not_idempotent__"


def not_idempotent(function: F) -> F:
    """Mark a function that must not be done twice.

    No retry repeats it once it has begun, and no hedge doubles it. A call that a policy refused before the function
    began may be repeated. Put the mark below the pipeline::

        @payments
        @not_idempotent
        async def pay(...): ...

    :raises TypeError: the function can't be marked, or is guarded already
    """
    code = getattr(function, "__code__", None)
    if code is not None and code.co_filename.startswith("<corten pipeline "):
        raise TypeError(
            f"not_idempotent: {function.__qualname__} is guarded by a pipeline already: "
            "put @not_idempotent below the pipeline's line"
        )
    try:
        setattr(function, _MARK, True)
    except AttributeError:
        raise TypeError(
            f"not_idempotent: {function!r} takes no attributes: mark the function inside of it, or wrap it"
        ) from None
    return function


def is_idempotent(function: Callable[..., Any]) -> bool:
    """Return whether neither a function nor a function inside of it is marked."""
    each: Any = function
    while each is not None:
        if getattr(each, _MARK, False) is True or getattr(getattr(each, "__func__", None), _MARK, False) is True:
            return False
        each = each.func if isinstance(each, functools.partial) else getattr(each, "__wrapped__", None)
    return getattr(getattr(function, "__call__", None), _MARK, False) is not True  # noqa: B004
