"""The settings in effect, each with its source and without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, cast

import msgspec

from corten.secrets import HIDDEN, Secret, is_hidden, redact_url
from corten.settings.reading.tree import Leaf, Node, Path, Table, dotted
from corten.settings.types.schema import fields, shapes, tag_of
from corten.settings.types.units import Kind, format_duration, format_size


class Effective(msgspec.Struct, frozen=True):
    """One setting in effect."""

    path: str
    """``postgres.max_size``, or ``pipelines.users.policies``."""
    value: Any
    """The value as in a settings file; ``<secret>`` for hidden values."""
    source: str
    """``corten.toml:12``, ``environment CORTEN_POSTGRES__MAX_SIZE``, ``default`` …"""
    secret: bool = False


def effective(type_: Any, value: Any, node: Node | None, path: tuple[str, ...]) -> Iterator[Effective]:
    """Yield the settings in a value: structs and mappings by entry, lists whole."""
    origin = node.origin if node is not None else None
    if isinstance(value, msgspec.Struct) and path != () and not value.__struct_fields__:
        return
    if isinstance(value, msgspec.Struct) and not isinstance(node, Leaf):
        held = node.items if isinstance(node, Table) else {}
        for field in fields(type(value)):
            yield from effective(
                field.type, getattr(value, field.name), held.get(field.encode_name), (*path, field.encode_name)
            )
        return
    if isinstance(value, Mapping) and value and not isinstance(node, Leaf):
        held = node.items if isinstance(node, Table) else {}
        inner = next((shape.inner[0] for shape in shapes(type_) if shape.kind == "mapping"), Any)
        for key, each in cast("Mapping[str, Any]", value).items():
            yield from effective(inner, each, held.get(str(key)), (*path, str(key)))
        return
    whole = cast("Any", value)
    from_secret = origin is not None and origin.hidden
    hidden = bool(whole) and (from_secret or is_hidden(whole, path, shows_numbers=True))
    shown = HIDDEN if hidden else plain(type_, whole, node.value if isinstance(node, Leaf) else None)
    source = origin.where(path) if origin is not None else "default"
    yield Effective(dotted(path), shown, source or "default", secret=hidden or isinstance(whole, Secret))


def plain(type_: Any, value: Any, raw: Any = None) -> Any:
    """A value as plain data: secrets hidden, quantities written out.

    Of structs inside, what has its default is left out, unless it is said in ``raw``, what the source had.
    """
    if isinstance(value, Secret):
        return HIDDEN if value else ""
    quantity = _quantity(type_)
    if quantity == "duration" and isinstance(value, (int, float)):
        return format_duration(value)
    if quantity == "size" and isinstance(value, int):
        return format_size(value)
    if isinstance(value, msgspec.Struct):
        tag = tag_of(type(value))
        items = {} if tag is None else {tag[0]: tag[1]}
        for field in fields(type(value)):
            held = getattr(value, field.name)
            said = _inside(raw, field.encode_name)
            if said is None and not field.required and held == _default(field):
                continue
            hidden = is_hidden(held, (field.encode_name,), shows_numbers=True)
            items[field.encode_name] = HIDDEN if hidden else plain(field.type, held, said)
        return items
    if isinstance(value, Mapping):
        inner = next((shape.inner[0] for shape in shapes(type_) if shape.kind == "mapping"), Any)
        pairs = cast("Mapping[object, Any]", value).items()
        return {
            str(key): HIDDEN
            if is_hidden(each, (str(key),), shows_numbers=True)
            else plain(inner, each, _inside(raw, key))
            for key, each in pairs
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        kinds = next((shape for shape in shapes(type_) if shape.kind == "list"), None)
        inner = kinds.inner[0] if kinds is not None and kinds.inner and not kinds.fixed else Any
        each_plain = [plain(inner, each, _inside(raw, at)) for at, each in enumerate(cast("list[Any]", value))]
        return sorted(each_plain, key=str) if isinstance(value, (set, frozenset)) else each_plain
    if isinstance(value, str):
        return redact_url(value)
    if isinstance(value, PurePath):
        return str(value)
    return msgspec.to_builtins(value, enc_hook=repr)


def _inside(raw: Any, key: Any) -> Any:
    try:
        return None if isinstance(raw, str) else raw[key]
    except (TypeError, LookupError):
        return None


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def _quantity(type_: Any) -> Kind | None:
    return next((shape.quantity for shape in shapes(type_) if shape.quantity is not None), None)


__all__ = ["Effective", "Path", "effective", "plain"]
