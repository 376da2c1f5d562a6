"""The registry of one App: its instruments, what collectors add, and both as data or text."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from corten import _core
from corten.clock import Clock
from corten.metrics.snapshot import Collector, Measurement, Snapshot, instruments_from_core

_log = logging.getLogger("corten.metrics")

DEFAULT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bounds for durations in seconds: those of OpenTelemetry's HTTP conventions."""

DEFAULT_MAX_SERIES = 1000
"""How many series an instrument may have before the rest goes into one."""

AnyInstrument = TypeVar("AnyInstrument", _core.Counter, _core.Gauge, _core.Histogram)


class RegistryStatistics(msgspec.Struct, frozen=True):
    """What a registry holds."""

    instruments: int
    series: int
    """Series of all instruments, overflow series not counted."""
    overflowed: int
    """How often an instrument was asked for a series beyond its cap."""
    collectors: int


class Registry:
    """Counters, gauges and histograms by name, aggregated in the core.

    An instrument has at most ``max_series`` series. What is measured with attributes beyond that goes into one more
    series, whose only attribute is ``otel_metric_overflow="true"``; the counter ``corten_metrics_overflow`` says how
    often that happened to which instrument.

    :param clock: what :meth:`Histogram.time` reads
    :param max_series: the cap of each instrument
    :param wall: wall-clock time for snapshots, in seconds since the epoch
    :raises ValueError: the cap is less than one
    """

    def __init__(
        self,
        clock: Clock | None = None,
        max_series: int = DEFAULT_MAX_SERIES,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if max_series < 1:
            raise ValueError(f"max_series must be at least 1, not {max_series}")
        self.core = _core.Registry(None if clock is None else clock.core, max_series)
        self._wall = wall
        self._started = wall()
        self._lock = threading.Lock()
        self._instruments: dict[str, _core.Counter | _core.Gauge | _core.Histogram] = {}
        self._collectors: tuple[Collector, ...] = ()
        self._failing: frozenset[str] = frozenset()

    def counter(
        self, name: str, description: str = "", unit: str = "", attributes: Sequence[str] = ()
    ) -> _core.Counter:
        """The counter of this name: a sum that only rises.

        :raises ValueError: a name or the unit can't be exposed, or the name is taken by an instrument that differs
        """
        return self._same(self.core.counter(name, description, unit, _names(attributes)))

    def gauge(self, name: str, description: str = "", unit: str = "", attributes: Sequence[str] = ()) -> _core.Gauge:
        """The gauge of this name: a value that goes up and down.

        :raises ValueError: a name or the unit can't be exposed, or the name is taken by an instrument that differs
        """
        return self._same(self.core.gauge(name, description, unit, _names(attributes)))

    def histogram(
        self,
        name: str,
        description: str = "",
        unit: str = "",
        attributes: Sequence[str] = (),
        *,
        bounds: Sequence[float] = DEFAULT_SECONDS,
    ) -> _core.Histogram:
        """The histogram of this name: how many values fell between which bounds, and their sum.

        :param bounds: upper bounds of the buckets, rising, each belonging to its bucket
        :raises ValueError: a name, the unit or the bounds can't be exposed, or the name is taken by an instrument that
            differs
        """
        return self._same(self.core.histogram(name, description, unit, _names(attributes), list(bounds)))

    def add_collector(self, collector: Collector) -> Callable[[], None]:
        """Ask ``collector`` for measurements at each snapshot.

        One that raises, or gives what can't be exposed, spoils nothing but itself: it is counted in
        ``corten_metrics_collector_errors`` and logged once until it works again.

        :returns: a function that takes the collector away again
        :raises ValueError: there is a collector of this name
        """
        with self._lock:
            if any(other.name == collector.name for other in self._collectors):
                raise ValueError(f"there is a collector named {collector.name!r} already: give this one another name")
            self._collectors = (*self._collectors, collector)

        def remove() -> None:
            with self._lock:
                self._collectors = tuple(other for other in self._collectors if other is not collector)

        return remove

    def snapshot(self) -> Snapshot:
        """What everything holds now, as data."""
        collected, failures = self._collect()
        rows, problems = self.core.snapshot(collected)
        self._note({**failures, **dict(problems)})
        return Snapshot(instruments=instruments_from_core(rows), time=self._wall(), started=self._started)

    def render(self) -> str:
        """What everything holds now, as OpenMetrics text; its content type is :data:`CONTENT_TYPE`."""
        collected, failures = self._collect()
        text, problems = self.core.render(collected)
        self._note({**failures, **dict(problems)})
        return text

    def statistics(self) -> RegistryStatistics:
        """How much the registry holds."""
        return RegistryStatistics(*self.core.statistics(), len(self._collectors))

    def _same(self, instrument: AnyInstrument) -> AnyInstrument:
        """The object that was given out for this name before; the core has checked that it is of the same kind."""
        return self._instruments.setdefault(instrument.name, instrument)  # type: ignore[return-value]

    def _collect(self) -> tuple[list[tuple[str, list[Measurement]]], dict[str, Exception | str]]:
        """What each collector gave, and which failed."""
        collected: list[tuple[str, list[Measurement]]] = []
        failures: dict[str, Exception | str] = {}
        for collector in self._collectors:
            try:
                collected.append((collector.name, list(collector.collect())))
            except Exception as error:  # noqa: BLE001 - a stranger's code: whatever it raises stays with it
                failures[collector.name] = error
        return collected, failures

    def _note(self, failures: dict[str, Exception | str]) -> None:
        """Count the collectors that failed this time, and log those that did not fail the time before."""
        for name, problem in failures.items():
            self.counter(
                "corten_metrics_collector_errors",
                "Snapshots for which a collector failed or gave what can't be exposed",
                attributes=("collector",),
            ).add(1, collector=name)
            if name not in self._failing:
                cause = problem if isinstance(problem, Exception) else None
                _log.warning("metrics collector %r failed, values are missing: %s", name, problem, exc_info=cause)
        self._failing = frozenset(failures)


def _names(attributes: Sequence[str]) -> list[str]:
    if isinstance(attributes, str):
        raise TypeError(f"attributes is a sequence of names: write ({attributes!r},), not {attributes!r}")
    return list(attributes)


_default = Registry()


def default_registry() -> Registry:
    """The process's own registry: for pipelines without an App."""
    return _default
