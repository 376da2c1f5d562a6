"""Rows as typed values: structs, mappings, tuples and scalars, converted by msgspec."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast, get_origin, is_typeddict

import asyncpg
import msgspec

from corten_postgres.errors import RowError

T = TypeVar("T")
_PLACE = re.compile(r" - at `\$\[(?P<row>\d+)\](?:\.(?P<column>\w+)|\[(?P<index>\d+)\])?(?P<rest>.*)`$", re.DOTALL)


def _first(record: asyncpg.Record) -> Any:
    return record[0]


@lru_cache(maxsize=1024)
def _shape(kind: Any) -> Callable[[asyncpg.Record], Any]:
    """Return how msgspec reads a record for a type: by name, by position, or its only column."""
    origin: object = get_origin(kind) or kind
    if not isinstance(origin, type):
        return _first
    named: type[object] = origin
    if issubclass(named, tuple):
        fields: tuple[str, ...] | None = getattr(cast("Any", named), "_fields", None)
        return tuple if fields is None else lambda record: tuple(record.get(field) for field in fields)
    by_name = (
        issubclass(named, (msgspec.Struct, Mapping))
        or is_dataclass(named)
        or is_typeddict(named)
        or hasattr(named, "__attrs_attrs__")
    )
    return dict if by_name else _first


@lru_cache(maxsize=1024)
def _list_of(kind: Any) -> Any:
    return list[kind]


def to_rows(kind: type[T], records: Sequence[asyncpg.Record], name: str, sql: str) -> list[T]:
    """Convert records, all at once.

    Structs, dataclasses, typed dicts, named tuples and mappings take columns by name, tuples by position; any other
    type is the type of the only column.

    :raises RowError: a row does not fit; it names the column, the type and the query
    """
    if not records:
        return []
    shape = _shape(cast("Any", kind))
    if shape is _first and len(records[0]) != 1:
        raise RowError(
            f"{name}: a {_words(kind)} is one column, the query gives {len(records[0])} ({_columns(records[0])})", sql
        )
    try:
        rows: list[T] = msgspec.convert([shape(record) for record in records], _list_of(cast("Any", kind)))
    except msgspec.ValidationError as error:
        raise RowError(_problem(str(error), kind, records, name), sql) from error
    return rows


def _problem(words: str, kind: Any, records: Sequence[asyncpg.Record], name: str) -> str:
    place = _PLACE.search(words)
    if place is None:
        return f"{name}: the rows do not fit {_words(kind)}: {words}"
    reason, row = words[: place.start()], int(place["row"])
    if place["column"]:
        column = place["column"]
    elif place["index"]:
        column = getattr(kind, "_fields", list(records[row].keys()))[int(place["index"])]
    elif _shape(kind) is _first:
        column = next(iter(records[row].keys()))
    else:
        return f"{name}: row {row} does not fit {_words(kind)}: {reason}; it has {_columns(records[row])}"
    return f"{name}: column {column!r}{place['rest']} of row {row} does not fit {_words(kind)}: {reason}"


def _columns(record: asyncpg.Record) -> str:
    return ", ".join(record.keys()) or "no columns"


def _words(kind: Any) -> str:
    return str(kind.__qualname__) if isinstance(kind, type) and not get_origin(kind) else repr(kind)
