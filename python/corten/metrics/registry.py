"""The registry of an App: its instruments and collectors."""

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
"""Bounds for durations in seconds, from OpenTelemetry's HTTP conventions."""

DEFAULT_MAX_SERIES = 1000
"""The most series of an instrument; further series share one overflow series."""

AnyInstrument = TypeVar("AnyInstrument", _core.Counter, _core.Gauge, _core.Histogram)


class RegistryStatistics(msgspec.Struct, frozen=True):
    """The size of a registry."""

    instruments: int
    series: int
    """Series of all instruments, without overflow series."""
    overflowed: int
    """Measurements that went into overflow series."""
    collectors: int


class Registry:
    """Counters, gauges and histograms by name, aggregated in the core.

    An instrument has at most ``max_series`` series. Measurements with further attributes go into one overflow series
    with the attribute ``otel_metric_overflow="true"``; ``corten_metrics_overflow`` counts them by instrument.

    :param clock: the clock of :meth:`Histogram.time`
    :param max_series: the cap of each instrument
    :param wall: wall-clock time for snapshots, in seconds since the epoch
    :raises ValueError: ``max_series`` is less than 1
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
        """Return the counter of a name: a sum that only rises.

        :raises ValueError: a name or the unit can't be exposed, or another instrument has the name
        """
        return self._first(self.core.counter(name, description, unit, _names(attributes)))

    def gauge(self, name: str, description: str = "", unit: str = "", attributes: Sequence[str] = ()) -> _core.Gauge:
        """Return the gauge of a name: a value that changes.

        :raises ValueError: a name or the unit can't be exposed, or another instrument has the name
        """
        return self._first(self.core.gauge(name, description, unit, _names(attributes)))

    def histogram(
        self,
        name: str,
        description: str = "",
        unit: str = "",
        attributes: Sequence[str] = (),
        *,
        bounds: Sequence[float] = DEFAULT_SECONDS,
    ) -> _core.Histogram:
        """Return the histogram of a name: a count for each bucket.

        :param bounds: rising upper bounds of the buckets: a bucket takes ``value <= bound``
        :raises ValueError: a name, the unit or the bounds can't be exposed, or another instrument has the name
        """
        return self._first(self.core.histogram(name, description, unit, _names(attributes), list(bounds)))

    def add_collector(self, collector: Collector) -> Callable[[], None]:
        """Call a collector at each snapshot.

        A collector that raises, or returns measurements that can't be exposed, spoils only its own values:
        ``corten_metrics_collector_errors`` counts the failure, and the log has it once until the collector works again.

        :returns: a function that removes the collector
        :raises ValueError: another collector has the name
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
        """Return all instruments and measurements of collectors as data."""
        collected, failures = self._collect()
        rows, problems = self.core.snapshot(collected)
        self._note({**failures, **dict(problems)})
        return Snapshot(instruments=instruments_from_core(rows), time=self._wall(), started=self._started)

    def render(self) -> str:
        """Return all instruments and measurements as OpenMetrics text, of type :data:`CONTENT_TYPE`."""
        collected, failures = self._collect()
        text, problems = self.core.render(collected)
        self._note({**failures, **dict(problems)})
        return text

    def statistics(self) -> RegistryStatistics:
        """Return the size of the registry."""
        return RegistryStatistics(*self.core.statistics(), len(self._collectors))

    def _first(self, instrument: AnyInstrument) -> AnyInstrument:
        """Return the first instrument of this name, which the core has compared."""
        return self._instruments.setdefault(instrument.name, instrument)  # type: ignore[return-value]

    def _collect(self) -> tuple[list[tuple[str, list[Measurement]]], dict[str, Exception | str]]:
        """Call the collectors; return their measurements, and the failures by name."""
        collected: list[tuple[str, list[Measurement]]] = []
        failures: dict[str, Exception | str] = {}
        for collector in self._collectors:
            try:
                collected.append((collector.name, list(collector.collect())))
            except Exception as error:  # noqa: BLE001 - a collector's error must not reach the scrape
                failures[collector.name] = error
        return collected, failures

    def _note(self, failures: dict[str, Exception | str]) -> None:
        """Count failed collectors, and log the first failure in a row."""
        for name, problem in failures.items():
            self.counter(
                "corten_metrics_collector_errors",
                "Snapshots for which a collector failed or returned values that can't be exposed",
                attributes=("collector",),
            ).add(1, collector=name)
            if name not in self._failing:
                cause = problem if isinstance(problem, Exception) else None
                _log.warning("metrics collector %r failed, values are missing: %s", name, problem, exc_info=cause)
        self._failing = frozenset(failures)


def _names(attributes: Sequence[str]) -> list[str]:
    if isinstance(attributes, str):
        raise TypeError(f"attributes must be a sequence of names: write ({attributes!r},), not {attributes!r}")
    return list(attributes)


_default = Registry()


def default_registry() -> Registry:
    """Return the registry of pipelines without an App."""
    return _default
