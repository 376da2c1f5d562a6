"""Exceptions that a policy counts: types, or their dotted names in settings."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    ExceptionTypes = type[Exception] | str | tuple[type[Exception] | str, ...]
    """One exception type or several, or their names: ``"OSError"``, ``"asyncpg.PostgresError"``."""
else:
    ExceptionTypes = str | tuple[str, ...]  # what settings can hold; a struct does not check what code passes


def resolve(exceptions: ExceptionTypes, field: str = "") -> tuple[type[Exception], ...]:
    """Return the types; names are imported.

    :param field: policy and field for the error's text, such as ``"retry: on"``
    :raises ValueError: a name leads nowhere, or to something other than an ``Exception``
    """
    several = (
        exceptions if isinstance(exceptions, Iterable) and not isinstance(exceptions, type | str) else (exceptions,)
    )
    return tuple(_resolve(each, f"{field}: " if field else "") for each in several)


def _resolve(exception: type[Exception] | str, where: str) -> type[Exception]:
    found: object = exception
    if isinstance(exception, str):
        module, _, name = exception.rpartition(".")
        try:
            found = getattr(importlib.import_module(module) if module else builtins, name)
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"{where}there is no exception {exception!r}: {error}; write it as 'package.module.Name'"
            ) from error
    if not (isinstance(found, type) and issubclass(found, Exception)):
        # A ValueError like every other problem of a policy's fields, so that settings list it with the rest.
        raise ValueError(  # noqa: TRY004
            f"{where}{exception!r} is not a subclass of Exception; cancellation and exits are never counted"
        )
    return found
