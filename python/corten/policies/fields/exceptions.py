"""Which exceptions a policy counts: types, or their dotted names in settings."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    ExceptionTypes = tuple[type[Exception] | str, ...]
    """Exception types, or their names: ``"OSError"``, ``"asyncpg.PostgresError"``."""
else:
    ExceptionTypes = tuple[str, ...]  # what settings can hold; a struct does not check what code passes


def resolve(exceptions: Iterable[type[Exception] | str], field: str = "") -> tuple[type[Exception], ...]:
    """The types themselves; names are imported.

    :param field: policy and field, ``"retry: on"``, for what an error says
    :raises ValueError: a name leads nowhere, or to something that is no ``Exception``; it is one, not several
    """
    where = f"{field} " if field else ""
    said: object = exceptions
    if isinstance(said, type | str):
        shown = said.__name__ if isinstance(said, type) else repr(said)
        raise ValueError(f"{where}is {shown}, which is one; it must be several: ({shown},)")  # noqa: TRY004 - as below
    return tuple(_resolve(each, f"{field}: " if field else "") for each in exceptions)


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
