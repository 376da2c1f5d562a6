"""Raw settings without types: a tree of tables whose leaves know their source."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, TypeAlias, cast

import msgspec

Path: TypeAlias = tuple[str | int, ...]


class Origin(msgspec.Struct, frozen=True):
    """The source of a value."""

    where: Callable[[Path], str]
    """What to call the source of the value at a path: ``corten.toml:12``, ``environment CORTEN_POSTGRES__DSN``."""
    text: bool = False
    """Whether all its values are text, to be read as the type wants (``"5"``, ``"on"``, ``"a,b"``, JSON)."""
    hidden: bool = False
    """Whether its values are always hidden."""
    strict: bool = False
    """Whether an unknown name is an error (files) or a warning (the environment)."""


NOWHERE = Origin(where=lambda _path: "")
"""The origin of what no source has."""


class Leaf(msgspec.Struct, frozen=True):
    """A value from a source: a scalar, or a whole list."""

    value: Any
    origin: Origin


class Table(msgspec.Struct):
    """Named values, and the origin of the table itself."""

    items: dict[str, Node]
    origin: Origin


Node: TypeAlias = Leaf | Table


def grow(value: object, origin: Origin) -> Node:
    """Make a node of data: mappings become tables, other values leaves."""
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return Table({str(key): grow(inner, origin) for key, inner in items}, origin)
    return Leaf(value, origin)


def put(root: Table, path: tuple[str, ...], node: Node) -> None:
    """Set a node at a path; tables replace leaves on the way."""
    table = root
    for key in path[:-1]:
        inner = table.items.get(key)
        if not isinstance(inner, Table):
            inner = table.items[key] = Table({}, node.origin)
        table = inner
    present = table.items.get(path[-1])
    table.items[path[-1]] = merge(present, node)


def merge(below: Node | None, above: Node) -> Node:
    """Merge tables key by key; a later source replaces other values, lists too, as a whole."""
    if not (isinstance(below, Table) and isinstance(above, Table)):
        return above
    for key, node in above.items.items():
        below.items[key] = merge(below.items.get(key), node)
    return below


def dotted(path: Path) -> str:
    """A path as it is shown: ``pipelines.users.policies[1].ttl``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def shown_path(file: PurePath) -> str:
    """Return a file's path for display: relative below the current folder."""
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):  # there is no current folder any more, or it is on another drive
        return str(file)
    return str(file) if relative.startswith(os.pardir) else relative
