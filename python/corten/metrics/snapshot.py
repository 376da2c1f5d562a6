"""A registry at one moment: plain data to merge, render and export."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]
Attributes = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""


class HistogramPoint(msgspec.Struct, frozen=True):
    """A histogram's aggregate.

    ``counts[i]`` is the number of values up to ``bounds[i]`` and above the bound before; the last count is of the rest.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


class Series(msgspec.Struct, frozen=True):
    """One set of attributes of an instrument with its aggregate."""

    attributes: Attributes
    value: int | float | HistogramPoint


class Instrument(msgspec.Struct, frozen=True):
    """All series of one instrument."""

    name: str
    """Without suffix: ``corten_pipeline_calls``; the text format adds ``_total``."""
    kind: Kind
    description: str
    unit: str
    series: tuple[Series, ...]


class Snapshot(msgspec.Struct, frozen=True):
    """Every instrument at one moment, sorted by name."""

    instruments: tuple[Instrument, ...]
    time: float
    """Wall-clock time of the snapshot, in seconds since the epoch."""
    started: float
    """Wall-clock time of the registry's start, when counters were zero."""


class Measurement(msgspec.Struct, frozen=True):
    """One value that a collector reads at the moment of a snapshot."""

    name: str
    value: float
    attributes: Attributes = ()
    description: str = ""
    unit: str = ""
    kind: Literal["counter", "gauge"] = "gauge"


class Collector(msgspec.Struct, frozen=True):
    """A function that returns measurements for a snapshot: quick, and without I/O."""

    name: str
    collect: Callable[[], Iterable[Measurement]]


Value = int | float | tuple[tuple[float, ...], tuple[int, ...], float]
Row = tuple[str, Kind, str, str, list[tuple[Attributes, Value]]]


def instruments_from_core(rows: Iterable[Row]) -> tuple[Instrument, ...]:
    """Turn the core's rows into structs."""
    return tuple(
        Instrument(
            name, kind, description, unit, tuple(Series(attributes, _value(value)) for attributes, value in series)
        )
        for name, kind, description, unit, series in rows
    )


def _value(value: Value) -> int | float | HistogramPoint:
    return HistogramPoint(*value) if isinstance(value, tuple) else value
