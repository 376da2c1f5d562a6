"""Fields of statistics described as metrics, in one place."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import msgspec

from corten.metrics.snapshot import Attributes, Measurement


class Measured(msgspec.Struct, frozen=True):
    """A field of statistics as a metric, for its annotation: ``Annotated[int, counter("Calls")]``."""

    kind: Literal["counter", "gauge", "state"]
    """``state`` is for a `Literal`: one gauge for each of its values: 1 for the current value, else 0."""
    description: str
    unit: str = ""


def counter(description: str, unit: str = "") -> Measured:
    """Describe a number that only rises."""
    return Measured("counter", description, unit)


def gauge(description: str, unit: str = "") -> Measured:
    """Describe a number that goes up and down."""
    return Measured("gauge", description, unit)


def one_of(description: str) -> Measured:
    """Describe a `Literal`."""
    return Measured("state", description)


def measurements(prefix: str, attributes: Attributes, statistics: msgspec.Struct) -> Iterator[Measurement]:
    """Yield the described fields that are not None, named ``prefix_field``."""
    for field, measured, states in _fields(type(statistics)):
        value: Any = getattr(statistics, field)
        name = f"{prefix}_{field}"
        if measured.kind == "state":
            for state in states:
                yield Measurement(
                    name, float(state == value), (*attributes, ("state", state)), measured.description, kind="gauge"
                )
        elif value is not None:
            yield Measurement(name, value, attributes, measured.description, measured.unit, measured.kind)


@cache
def _fields(kind: type) -> tuple[tuple[str, Measured, tuple[str, ...]], ...]:
    found: list[tuple[str, Measured, tuple[str, ...]]] = []
    for field, annotation in typing.get_type_hints(kind, include_extras=True).items():
        for each in getattr(annotation, "__metadata__", ()):
            if isinstance(each, Measured):
                states = typing.get_args(typing.get_args(annotation)[0]) if each.kind == "state" else ()
                found.append((field, each, states))
    return tuple(found)
