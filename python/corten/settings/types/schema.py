"""Describes settings types: members, quantities, secrets, and the type in words."""

from __future__ import annotations

import collections.abc
import enum
import types
from functools import cache
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import msgspec

from corten.secrets import Secret
from corten.settings.types.units import EXPECTED, Kind

_LISTS: Final = (
    list,
    set,
    frozenset,
    tuple,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Collection,
    collections.abc.Set,
    collections.abc.MutableSet,
)
_MAPPINGS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_WORDS: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    bytes: "bytes in Base64",
    Secret: "text",
    type(None): "nothing",
    Any: "anything",
}


class Shape(msgspec.Struct, frozen=True):
    """One alternative of a type."""

    kind: Literal["struct", "list", "mapping", "quantity", "none", "scalar"]
    type: Any
    """What msgspec converts to, constraints and all."""
    bare: Any
    """The type without annotations: a class or a generic alias."""
    quantity: Kind | None = None
    inner: tuple[Any, ...] = ()
    """Types of the elements of a list (one for all, or one each for a fixed tuple), or of a mapping's values."""
    fixed: bool = False


@cache
def shapes(type_: Any) -> tuple[Shape, ...]:
    """The alternatives of a type: one, or the members of a union."""
    quantity: Kind | None = None
    bare, metas = _unwrapped(type_)
    for meta in metas:
        if isinstance(meta, msgspec.Meta) and meta.extra and "corten" in meta.extra:
            quantity = meta.extra["corten"]
    origin = get_origin(bare)
    if origin in (Union, types.UnionType):
        return tuple(shape for member in get_args(bare) for shape in shapes(member))
    if quantity is not None:
        return (Shape("quantity", type_, bare, quantity=quantity),)
    if bare is None or bare is type(None):
        return (Shape("none", type_, bare),)
    if is_struct(origin or bare):
        return (Shape("struct", type_, bare),)
    arguments = get_args(bare)
    if (origin or bare) in _LISTS:
        fixed = origin is tuple and not (len(arguments) == 2 and arguments[1] is ...)
        inner = arguments if fixed else arguments[:1] or (Any,)
        return (Shape("list", type_, bare, inner=inner, fixed=fixed),)
    if (origin or bare) in _MAPPINGS:
        return (Shape("mapping", type_, bare, inner=arguments[1:] or (Any,)),)
    return (Shape("scalar", type_, bare),)


def _unwrapped(type_: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without annotations, NewTypes and aliases, and the annotations."""
    metas: tuple[Any, ...] = ()
    while True:
        annotated: Any = type_
        if get_origin(annotated) is Annotated:
            type_, metas = annotated.__origin__, (*metas, *annotated.__metadata__)
        elif hasattr(annotated, "__supertype__"):  # typing.NewType
            type_ = annotated.__supertype__
        elif type(annotated).__name__ == "TypeAliasType":
            type_ = annotated.__value__
        else:
            return annotated, metas


@cache
def aliases(type_: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the aliases that a struct's fields declare, and their paths."""
    return tuple(_aliases(type_, (), frozenset()))


def _aliases(
    type_: Any, path: tuple[str, ...], seen: frozenset[Any]
) -> collections.abc.Iterator[tuple[str, tuple[str, ...]]]:
    for field in fields(type_):
        below = (*path, field.encode_name)
        for meta in _unwrapped(field.type)[1]:
            extra = meta.extra if isinstance(meta, msgspec.Meta) else None
            yield from ((name, below) for name in (extra or {}).get("corten_aliases", ()))
        for shape in shapes(field.type):
            if shape.kind == "struct" and shape.bare not in seen:
                yield from _aliases(shape.bare, below, seen | {type_})


def is_struct(type_: Any) -> bool:
    """Return whether a type is a struct that is written as a table."""
    return is_class(type_, msgspec.Struct) and not type_.__struct_config__.array_like


def is_class(type_: Any, *bases: type[Any]) -> bool:
    """Whether it is a class with one of the bases."""
    return isinstance(type_, type) and issubclass(cast("type[Any]", type_), bases)


@cache
def fields(type_: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    """A struct's fields, their types resolved."""
    return msgspec.structs.fields(type_)


def tag_of(type_: Any) -> tuple[str, str | int] | None:
    """Return the tag field of a struct and the struct's tag."""
    config = (get_origin(type_) or type_).__struct_config__
    return None if config.tag is None else (config.tag_field, config.tag)


@cache
def holds_secret(type_: Any) -> bool:
    """Whether a value of the type may be, or contain, a secret."""
    found = False
    for shape in shapes(type_):
        if shape.kind == "struct":
            # A struct that contains itself: what is under way is not asked again.
            found = found or any(_holds_secret_below(shape.bare, set()))
        else:
            found = found or shape.bare is Secret or any(holds_secret(inner) for inner in shape.inner)
    return found


def _holds_secret_below(struct: Any, seen: set[Any]) -> collections.abc.Iterator[bool]:
    if struct in seen:
        return
    seen.add(struct)
    for field in fields(struct):
        pending = list(shapes(field.type))
        while pending:
            shape = pending.pop()
            pending += [below for inner in shape.inner for below in shapes(inner)]
            yield shape.bare is Secret
            if shape.kind == "struct":
                yield from _holds_secret_below(shape.bare, seen)


def describe(type_: Any) -> str:
    """Describe a type in words: ``a whole number of at least 1``."""
    members = [shape for shape in shapes(type_) if shape.kind != "none"]
    words = list(dict.fromkeys(_describe(shape) for shape in members))
    return " or ".join(words) or "nothing"


def _describe(shape: Shape) -> str:
    if shape.quantity is not None:
        return EXPECTED[shape.quantity] + _bounds(shape.type)
    if shape.kind == "struct":
        tag = tag_of(shape.bare)
        return "a table" if tag is None else f'a table with {tag[0]} = "{tag[1]}"'
    if shape.kind == "list":
        return (
            f"a list of {_plural(shape.inner[0])}"
            if shape.inner and not shape.fixed
            else f"a list of {len(shape.inner)}"
        )
    if shape.kind == "mapping":
        return f"a table of {_plural(shape.inner[0])}"
    bare = shape.bare
    if get_origin(bare) is Literal:
        return _choices(get_args(bare))
    if is_class(bare, enum.Enum):
        return _choices([member.value for member in bare])
    if is_class(bare, PurePath):
        return "a path"
    if bare not in _WORDS and is_class(bare, object):
        name: str = bare.__name__
        return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}" + _bounds(shape.type)
    return _WORDS.get(bare, str(bare)) + _bounds(shape.type)


def _choices(values: collections.abc.Iterable[object]) -> str:
    return "one of " + ", ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)


def _plural(type_: Any) -> str:
    singular = describe(type_)
    known = {"text": "texts", "a whole number": "whole numbers", "a number": "numbers", "a table": "tables"}
    return known.get(singular, "tables" if singular.startswith("a table") else singular)


def _bounds(type_: Any) -> str:
    parts: list[str] = []
    metas = type_.__metadata__ if get_origin(type_) is Annotated else ()
    for meta in metas:
        if not isinstance(meta, msgspec.Meta):
            continue
        for value, words in (
            (meta.ge, "of at least"),
            (meta.gt, "greater than"),
            (meta.le, "of at most"),
            (meta.lt, "less than"),
            (meta.multiple_of, "a multiple of"),
            (meta.min_length, "with a length of at least"),
            (meta.max_length, "with a length of at most"),
            (meta.pattern, "matching"),
        ):
            if value is not None:
                parts.append(f"{words} {value}")
    return f" {' and '.join(parts)}" if parts else ""
