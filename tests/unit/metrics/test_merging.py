"""Snapshots of several processes become one, and what cannot be one is refused."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from corten.metrics import HistogramPoint, Instrument, Registry, Series, Snapshot, merge, render


def worker(calls: int, connections: float, waits: tuple[float, ...], time: float = 100.0) -> Snapshot:
    moments = iter([time - 50, time])
    registry = Registry(max_series=2, wall=lambda: next(moments))
    registry.counter("calls", "Calls", attributes=("outcome",)).add(calls, outcome="hit")
    registry.gauge("connections").set(connections)
    waited = registry.histogram("wait", unit="seconds", bounds=(1, 2))
    for wait in waits:
        waited.record(wait)
    return registry.snapshot()


def value(snapshot: Snapshot, name: str) -> object:
    (instrument,) = [each for each in snapshot.instruments if each.name == name]
    (series,) = instrument.series
    return series.value


def test_counters_and_histograms_add_up_and_gauges_as_one_wants() -> None:
    parts = [worker(1, 5, (0.5, 3)), worker(2, 7, (2,), time=200.0)]
    total = merge(parts)
    assert (value(total, "calls"), value(total, "connections")) == (3, 12.0)
    assert value(total, "wait") == HistogramPoint((1.0, 2.0), (1, 1, 1), 5.5)
    assert (total.started, total.time) == (50.0, 200.0)
    assert value(merge(parts, gauges="last"), "connections") == 7.0
    assert value(merge(parts[::-1], gauges="last"), "connections") == 5.0


def test_a_snapshot_merged_with_nothing_is_itself() -> None:
    snapshot = worker(1, 5, (0.5,))
    assert merge([snapshot]) == snapshot
    with pytest.raises(ValueError, match="at least one snapshot"):
        merge([])


def test_overflow_series_and_their_counts_add_up() -> None:
    registry = Registry(max_series=1)
    for user in range(5):
        registry.counter("calls", attributes=("user",)).add(1, user=f"{user}")
    text = render(merge([registry.snapshot(), registry.snapshot()]))
    assert 'calls_total{otel_metric_overflow="true"} 8\n' in text
    assert 'corten_metrics_overflow_total{instrument="calls"} 8\n' in text


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("kind", lambda registry: registry.gauge("calls", attributes=("outcome",)).set(1, outcome="hit")),
        ("unit", lambda registry: registry.counter("calls", unit="bytes")),
        ("bounds", lambda registry: registry.histogram("wait", unit="seconds", bounds=(1, 3))),
    ],
)
def test_instruments_that_differ_are_refused(what: str, make: Callable[[Registry], object]) -> None:
    other = Registry()
    make(other)
    with pytest.raises(ValueError, match=f"its snapshots differ in {what}"):
        merge([worker(1, 1, (1,)), other.snapshot()])


def test_an_unknown_way_to_merge_gauges_is_refused() -> None:
    with pytest.raises(ValueError, match='gauges are merged by "sum" or "last", not "mean"'):
        merge([worker(1, 1, ())], gauges="mean")  # type: ignore[arg-type]


class TestHostile:
    """A snapshot from another process is checked before it becomes text."""

    @pytest.mark.parametrize(
        "instrument",
        [
            Instrument("a\n# EOF", "gauge", "", "", ()),
            Instrument("calls", "gauge", "", 'x"\n', ()),
            Instrument("calls", "gauge", "", "", (Series((('a="1"} 9\nb', "1"),), 1.0),)),
            Instrument("calls", "gauge", "", "", (Series((("a", "1"), ("a", "2")), 1.0),)),
            Instrument("calls", "gauge", "", "", (Series((), 1.0), Series((), 2.0))),
            Instrument("calls", "histogram", "", "", (Series((), 1.0),)),
            Instrument("calls", "counter", "", "", (Series((), HistogramPoint((1.0,), (1, 2), 3.0)),)),
            Instrument("calls", "histogram", "", "", (Series((), HistogramPoint((1.0,), (1, 2, 3), 3.0)),)),
            Instrument("calls", "histogram", "", "", (Series((), HistogramPoint((2.0, 1.0), (1, 2, 3), 3.0)),)),
            Instrument("calls", "summary", "", "", ()),  # type: ignore[arg-type]
        ],
    )
    def test_what_cannot_be_exposed_is_refused(self, instrument: Instrument) -> None:
        with pytest.raises(ValueError, match=r"name|unit|twice|differs|bounds|kind"):
            render(Snapshot((instrument,), 0.0, 0.0))

    def test_values_and_descriptions_are_escaped(self) -> None:
        hostile = '"} 1\n# EOF\n\\'
        snapshot = Snapshot(
            (Instrument("calls", "counter", hostile, "", (Series((("path", hostile),), 1),)),), 0.0, 0.0
        )
        lines = render(snapshot).splitlines()
        assert len(lines) == 4
        assert lines[-1] == "# EOF"

    def test_what_came_by_wire_renders_the_same(self) -> None:
        snapshot = worker(1, 5, (0.5, 3))
        arrived = msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot)
        assert render(arrived) == render(snapshot)
