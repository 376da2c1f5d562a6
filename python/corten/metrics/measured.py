"""Statistics that say of their own fields what they are as metrics, so that each is described once."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import msgspec

from corten.metrics.snapshot import Attributes, Measurement


class Measured(msgspec.Struct, frozen=True):
    """What a field of statistics is as a metric; in its annotation: ``Annotated[int, counter("Calls that …")]``."""

    kind: Literal["counter", "gauge", "state"]
    """``state`` is for a `Literal`: a gauge for each of its words, 1 for the one that it is in."""
    description: str
    unit: str = ""


def counter(description: str, unit: str = "") -> Measured:
    """A number that only rises."""
    return Measured("counter", description, unit)


def gauge(description: str, unit: str = "") -> Measured:
    """A number that goes up and down."""
    return Measured("gauge", description, unit)


def one_of(description: str) -> Measured:
    """One of several words."""
    return Measured("state", description)


def measurements(prefix: str, attributes: Attributes, statistics: msgspec.Struct) -> Iterator[Measurement]:
    """The measured fields as metrics named ``prefix_field``; None is left out."""
    for field, measured, words in _fields(type(statistics)):
        value: Any = getattr(statistics, field)
        name = f"{prefix}_{field}"
        if measured.kind == "state":
            for word in words:
                yield Measurement(
                    name, float(word == value), (*attributes, ("state", word)), measured.description, kind="gauge"
                )
        elif value is not None:
            yield Measurement(name, value, attributes, measured.description, measured.unit, measured.kind)


@cache
def _fields(kind: type) -> tuple[tuple[str, Measured, tuple[str, ...]], ...]:
    found: list[tuple[str, Measured, tuple[str, ...]]] = []
    for field, annotation in typing.get_type_hints(kind, include_extras=True).items():
        for each in getattr(annotation, "__metadata__", ()):
            if isinstance(each, Measured):
                words = typing.get_args(typing.get_args(annotation)[0]) if each.kind == "state" else ()
                found.append((field, each, words))
    return tuple(found)
