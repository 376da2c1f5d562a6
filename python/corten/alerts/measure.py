"""Values of alert rules, read from snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from corten.alerts.rule import AlertRule
from corten.metrics import HistogramPoint, Series, Snapshot


class Measure:
    """Reads the value of one rule, from one snapshot to the next."""

    def __init__(self, rule: AlertRule) -> None:
        self._rule = rule
        self._before: tuple[float, float] | None = None
        self._at = 0.0

    def read(self, snapshot: Snapshot, now: float) -> float | None:
        """Return the value now, or None without a matching series.

        :param now: the clock's time in seconds, for rates
        """
        instrument = next((each for each in snapshot.instruments if each.name == self._rule.metric), None)
        if instrument is None:
            return None
        series = [each for each in instrument.series if _matches(each, self._rule.attributes)]
        if not series:
            return None
        if instrument.kind == "gauge" and self._rule.measure == "value":
            return self._worst(series)
        sums = _sums(series)
        before, passed = self._before, now - self._at
        self._before, self._at = sums, now
        if self._rule.measure == "rate":
            # a counter that fell was reset: its whole value is new
            if before is None or passed <= 0:
                return None
            base = 0.0 if instrument.kind != "gauge" and sums[0] < before[0] else before[0]
            return (sums[0] - base) / passed
        if instrument.kind == "counter":
            return sums[0]
        count, total = _since(sums, before)
        return total / count if count else None

    def _worst(self, series: Iterable[Series]) -> float:
        values = [each.value for each in series if not isinstance(each.value, HistogramPoint)]
        return float(max(values) if self._rule.above is not None else min(values))


def _matches(series: Series, wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= dict(series.attributes).items()


def _sums(series: Iterable[Series]) -> tuple[float, float]:
    """Return count and sum of histograms, or sum and 0."""
    count = total = 0.0
    for each in series:
        if isinstance(each.value, HistogramPoint):
            count += sum(each.value.counts)
            total += each.value.sum
        else:
            count += each.value
    return count, total


def _since(sums: tuple[float, float], before: tuple[float, float] | None) -> tuple[float, float]:
    if before is None or sums[0] < before[0]:
        return sums
    return sums[0] - before[0], sums[1] - before[1]
