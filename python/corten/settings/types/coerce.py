"""Converts one value to one alternative of a type."""

from __future__ import annotations

import datetime
from pathlib import PurePath
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from corten.secrets import Secret
from corten.secrets import dec_hook as secret_dec_hook
from corten.settings.types.schema import Shape, is_class
from corten.settings.types.units import parse_duration, parse_rate, parse_size

TRUE: Final = frozenset({"true", "yes", "on", "1"})
FALSE: Final = frozenset({"false", "no", "off", "0"})


class Mismatch(Exception):
    """One alternative of a type does not take the value."""

    def __init__(self, message: str = "wrong value", expected: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected


SCALARS: Final = frozenset({bool, int, float, str, bytes, Secret, datetime.datetime, datetime.date, datetime.time})
TEXT_KINDS: Final = ("none", "quantity", "scalar")


def text_order(shape: Shape) -> int:
    """Order alternatives for text by strictness: ``on`` as a bool, ``5`` as a number, then as text."""
    if shape.kind == "none":
        return 0
    if shape.bare is bool:
        return 1
    if shape.bare in (str, Secret, Any) and shape.kind == "scalar":
        return 5
    return 2 if shape.bare is int else 3 if shape.bare is float else 4


def native(shape: Shape, text: str) -> Any:
    """Prepare text for an alternative: words for bool and None, no blanks around.

    :raises Mismatch: the text does not fit the alternative
    """
    if shape.kind == "none":
        if text.strip().lower() in {"null", "none"}:
            return None
        raise Mismatch
    if shape.kind == "quantity" or shape.bare in (str, Secret, Any) or get_origin(shape.bare) is not None:
        return text
    if shape.bare is bool:
        word = text.strip().lower()
        if word in TRUE | FALSE:
            return word in TRUE
        raise Mismatch(expected="true or false")
    return text.strip()


def fitted(shape: Shape, value: Any, *, strict: bool) -> Any:
    """The value as one alternative of a type.

    :raises Mismatch: it is not of that alternative
    """
    if isinstance(value, bool) and (shape.kind == "quantity" or shape.bare in (int, float)):
        raise Mismatch
    if shape.kind == "struct":
        if isinstance(value, shape.bare):
            return value
        raise Mismatch
    if shape.kind in {"list", "mapping"}:
        raise Mismatch
    if shape.kind == "quantity":
        value = _quantity(shape, value)
    elif is_class(shape.bare, PurePath):
        if isinstance(value, (str, PurePath)) and str(value):
            return shape.bare(value)
        raise Mismatch
    elif not strict and get_origin(shape.bare) is Literal:
        # msgspec finds a number among the choices only when it is a number already.
        for choice in get_args(shape.bare):
            if str(choice) == str(value).strip():
                return choice
        raise Mismatch
    try:
        return converted(value, shape.type, strict=strict)
    except msgspec.ValidationError:
        if shape.type is shape.bare or shape.kind == "quantity":
            raise Mismatch("out of bounds" if shape.kind == "quantity" else "wrong value") from None
    try:
        converted(value, shape.bare, strict=strict)
    except msgspec.ValidationError:
        raise Mismatch from None
    raise Mismatch("out of bounds")


def _quantity(shape: Shape, value: Any) -> Any:
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    try:
        match shape.quantity:
            case "duration" if isinstance(value, (str, int, float)):
                return parse_duration(value)
            case "size" if isinstance(value, (str, int, float)):
                return parse_size(value)
            case "rate" if isinstance(value, str):
                parse_rate(value)
                return value
            case _:
                raise Mismatch
    except ValueError:
        raise Mismatch from None


def converted(value: Any, type_: Any, *, strict: bool) -> Any:
    """As msgspec converts, secrets and paths included.

    :raises msgspec.ValidationError: it is not of the type
    """
    if type_ is Any:
        return value
    return msgspec.convert(value, type_, strict=strict, dec_hook=_dec_hook)


def _dec_hook(type_: type[Any], value: object) -> object:
    # Values inside lists and mappings were converted already; msgspec asks about those it does not know.
    if isinstance(value, type_):
        return value
    if issubclass(type_, PurePath) and isinstance(value, str):
        return type_(value)
    try:
        return secret_dec_hook(type_, value)
    except NotImplementedError:
        raise ValueError(f"Expected `{type_.__name__}`") from None
