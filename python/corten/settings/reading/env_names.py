"""Names of settings: the environment's spelling of a path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from corten.settings.reading.tree import Table
from corten.settings.types.schema import fields, shapes
from corten.spelling import fold

PREFIX: Final = "CORTEN_"


def variable(path: Iterable[str]) -> str:
    """The environment variable of a path: ``CORTEN_POSTGRES__MAX_SIZE``."""
    return PREFIX + "__".join(fold(step) for step in path).upper()


def locate(type_: Any, parts: tuple[str, ...], present: object = None) -> tuple[tuple[str, ...], Any] | None:
    """Return the path below a type that parts of an environment name spell, and the type there.

    ``present`` is the table that earlier sources left there: names of a mapping are the user's own, and keep their
    spelling.
    """
    if not parts:
        return (), type_
    part, rest = parts[0], parts[1:]
    inner = present.items if isinstance(present, Table) else {}
    for shape in shapes(type_):
        if shape.kind == "struct":
            steps = [(field.encode_name, field.type) for field in fields(shape.bare)]
            # A renamed field is found by its old name too, so that its value is reported and not ignored.
            steps += [(old, Any) for old in getattr(shape.bare, "renamed_fields", {})]
            steps = [step for step in steps if fold(step[0]) == fold(part)]
        elif shape.kind == "mapping" or shape.bare is Any:
            key = next((each for each in inner if fold(each) == fold(part)), part.lower())
            steps = [(key, shape.inner[0] if shape.inner else Any)]
        else:
            continue
        for key, below in steps:
            found = locate(below, rest, inner.get(key))
            if found is not None and key:
                return (key, *found[0]), found[1]
    return None


def is_tabular(type_: Any) -> bool:
    """Return whether text with a leading brace is a table of the type."""
    kinds = shapes(type_)
    return any(shape.kind in {"struct", "mapping"} for shape in kinds) and all(
        shape.kind != "scalar" for shape in kinds
    )


def variables(type_: Any, path: tuple[str, ...], seen: frozenset[Any] = frozenset()) -> Iterator[str]:
    """Yield the environment variables of all fields of a type, for suggestions."""
    for shape in shapes(type_):
        if shape.kind == "struct" and shape.bare not in seen:
            for field in fields(shape.bare):
                yield variable((*path, field.encode_name))
                yield from variables(field.type, (*path, field.encode_name), seen | {shape.bare})
