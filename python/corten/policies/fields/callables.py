"""Functions that policies call, or their dotted names in settings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Function = Callable[..., Any] | str
    """A callable, or its dotted name: ``"package.module:function"``."""
else:
    Function = str  # what settings can hold; a struct does not check what code passes


def resolve_function(policy: str, field: str, function: Callable[..., Any] | str) -> Callable[..., Any]:
    """Return the function; a name is imported.

    :raises ValueError: the name leads nowhere, or to an object that can't be called
    """
    found: Any = function
    if isinstance(function, str):
        module, colon, path = function.partition(":")
        try:
            if not (colon and module and path):
                raise ValueError("it has no colon between module and function")  # noqa: TRY301 - one message for all
            found = importlib.import_module(module)
            for name in path.split("."):
                found = getattr(found, name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(
                f"{policy}: {field} is {function!r}, which can't be found: {error}; "
                "write it as 'package.module:function'"
            ) from error
    if not callable(found):
        raise ValueError(  # noqa: TRY004 - like every other problem of a policy's fields
            f"{policy}: {field} is {function!r}, which can't be called; "
            "it must be a function or 'package.module:function'"
        )
    return found  # type: ignore[no-any-return]
