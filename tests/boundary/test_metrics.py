"""The metrics across the boundary: against a naive model, and as Prometheus' own parser reads them."""

from __future__ import annotations

import math
import sys
from collections import Counter as Tally
from collections import defaultdict
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from corten.metrics import HistogramPoint, Registry, Series, Snapshot, merge, render

# Anything that can stand in an attribute; a lone surrogate has no place in UTF-8 and is replaced.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
whole = st.integers(0, 2**40)
real = st.floats(0, 1e12, allow_nan=False, allow_subnormal=False)
key = st.sampled_from(["a", "b", "a\n# EOF", 'b"} 1', "c\\", "", "ü"]) | text

acts = st.lists(
    st.one_of(
        st.tuples(st.just("count"), key, key, whole),
        st.tuples(st.just("spend"), key, key, real),
        st.tuples(st.just("set"), key, key, st.floats(allow_nan=False)),
        st.tuples(st.just("record"), key, key, real),
    ),
    max_size=40,
)
BOUNDS = (0.0, 0.001, 1.0, 1e6, 1e9)


class Model:
    """What a registry should hold, kept in dictionaries."""

    def __init__(self) -> None:
        self.counts: Tally[tuple[str, str]] = Tally()
        self.spent: dict[tuple[str, str], float] = defaultdict(float)
        self.gauges: dict[tuple[str, str], float] = {}
        self.recorded: dict[tuple[str, str], list[float]] = defaultdict(list)

    def values(self) -> dict[str, dict[tuple[str, str], Any]]:
        return {
            "calls": dict(self.counts),
            "level": dict(self.gauges),
            "size": {key: self._point(values) for key, values in self.recorded.items()},
            "spent": dict(self.spent),
        }

    def _point(self, values: list[float]) -> HistogramPoint:
        edges = [-math.inf, *BOUNDS, math.inf]
        counts = (sum(low < value <= high for value in values) for low, high in pairwise(edges))
        total = 0.0
        for value in values:
            total += value
        return HistogramPoint(BOUNDS, tuple(counts), total)


def measured(acts: list[tuple[str, str, str, Any]]) -> tuple[Registry, Model]:
    registry, model = Registry(), Model()
    names = ("path", "user")
    calls = registry.counter("calls", 'Calls\n"made" \\ 1', attributes=names)
    spent = registry.counter("spent", unit="seconds", attributes=names)
    level = registry.gauge("level", "# EOF", attributes=names)
    size = registry.histogram("size", unit="bytes", attributes=names, bounds=BOUNDS)
    for verb, path, user, amount in acts:
        key = (path, user)
        if verb == "count":
            calls.add(amount, user=user, path=path)
            model.counts[key] += amount
        elif verb == "spend":
            spent.bind(path=path, user=user).add(amount)
            model.spent[key] += amount
        elif verb == "set":
            level.set(amount, path=path, user=user)
            model.gauges[key] = amount
        else:
            size.record(amount, user=user, path=path)
            model.recorded[key].append(amount)
    return registry, model


def held(snapshot: Snapshot) -> dict[str, dict[tuple[str, str], Any]]:
    def key(series: Series) -> tuple[str, str]:
        attributes = dict(series.attributes)
        return attributes["path"], attributes["user"]

    return {
        instrument.name: {key(series): series.value for series in instrument.series}
        for instrument in snapshot.instruments
    }


@given(acts)
def test_a_registry_holds_what_a_few_dictionaries_would(acts: list[tuple[str, str, str, Any]]) -> None:
    registry, model = measured(acts)
    assert held(registry.snapshot()) == model.values()


@given(acts)
def test_a_snapshot_is_sorted_and_survives_json_and_msgpack(acts: list[tuple[str, str, str, Any]]) -> None:
    snapshot = measured(acts)[0].snapshot()
    names = [instrument.name for instrument in snapshot.instruments]
    assert names == sorted(names)
    for instrument in snapshot.instruments:
        keys = [series.attributes for series in instrument.series]
        assert keys == sorted(set(keys), key=lambda key: [part.encode() for pair in key for part in pair])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot
    finite = all(math.isfinite(value) for value in held(snapshot)["level"].values())
    if finite:  # JSON has no infinity
        assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot


@given(acts)
@settings(deadline=None)
def test_prometheus_reads_from_the_text_what_the_snapshot_holds(acts: list[tuple[str, str, str, Any]]) -> None:
    registry, _ = measured(acts)
    snapshot = registry.snapshot()
    text = registry.render()
    assert text.endswith("# EOF\n")
    assert render(snapshot) == text
    expected: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for instrument in snapshot.instruments:
        name = f"{instrument.name}_{instrument.unit}" if instrument.unit else instrument.name
        for series in instrument.series:
            labels = frozenset(series.attributes)
            if isinstance(series.value, HistogramPoint):
                total = 0
                for bound, count in zip([*series.value.bounds, math.inf], series.value.counts, strict=True):
                    total += count
                    expected[(f"{name}_bucket", labels | {("le", str(bound))})] = total
                expected[(f"{name}_count", labels)] = total
                expected[(f"{name}_sum", labels)] = series.value.sum
            else:
                suffix = "_total" if instrument.kind == "counter" else ""
                expected[(f"{name}{suffix}", labels)] = series.value
    families = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    assert {(family.name, family.type, family.unit) for family in families} == {
        ("calls", "counter", ""),
        ("level", "gauge", ""),
        ("size_bytes", "histogram", "bytes"),
        ("spent_seconds", "counter", "seconds"),
    }
    assert {family.documentation for family in families} == {'Calls\n"made" \\ 1', "# EOF", ""}
    read = {
        (
            sample.name,
            frozenset((name, str(float(value)) if name == "le" else value) for name, value in sample.labels.items()),
        ): float(sample.value)
        for family in families
        for sample in family.samples
    }
    assert read == expected


@given(st.lists(acts, min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_merged_snapshots_hold_the_sums_of_their_parts(parts: list[list[tuple[str, str, str, Any]]]) -> None:
    snapshots = [measured(part)[0].snapshot() for part in parts]
    models = [measured(part)[1] for part in parts]
    total = held(merge(snapshots))
    counts: Tally[tuple[str, str]] = Tally()
    for model in models:
        counts.update(model.counts)
    assert total["calls"] == counts
    recorded: dict[tuple[str, str], int] = defaultdict(int)
    for model in models:
        for key, values in model.recorded.items():
            recorded[key] += len(values)
    assert {key: sum(point.counts) for key, point in total["size"].items()} == recorded
    last: dict[tuple[str, str], float] = {}
    for model in models:
        last |= model.gauges
    assert held(merge(snapshots, gauges="last"))["level"] == last


@given(st.one_of(st.floats(), st.integers(), st.none(), st.text(), st.booleans(), st.binary()))
def test_any_amount_is_counted_or_refused_and_never_spoils_the_sum(amount: Any) -> None:
    counter = Registry().counter("calls").bind()
    try:
        counter.add(amount)
    except (TypeError, ValueError, OverflowError):
        assert counter.value == 0
    else:
        assert counter.value == pytest.approx(float(amount))  # a whole number past 64 bits is kept as a float


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.text(), st.none(), st.integers()), max_size=3))
def test_any_attributes_are_taken_or_refused(attributes: dict[str, Any]) -> None:
    counter = Registry().counter("calls", attributes=("path", "user"))
    if attributes.keys() == {"path", "user"} and None not in attributes.values():
        counter.add(1, **attributes)
    else:
        with pytest.raises(TypeError, match="calls"):
            counter.add(1, **attributes)


def test_no_call_keeps_or_loses_a_reference() -> None:
    registry = Registry()
    counter, size = registry.counter("calls", attributes=("path", "user")), registry.histogram("size")
    value, amount = "".join(["hel", "lo"]), float("1.5")
    before = sys.getrefcount(value), sys.getrefcount(amount)
    for _ in range(1_000):
        counter.add(amount, user=value, path=value)
        size.record(amount)
        for wrong in ({"path": value}, {"path": value, "user": None}, {"path": value, "users": value}):
            with pytest.raises(TypeError):
                counter.add(amount, **wrong)
        with pytest.raises(ValueError, match="only rises"):
            counter.add(-amount, path=value, user=value)
        with pytest.raises(TypeError):
            counter.add(amount, amount)  # type: ignore[call-arg]
    wrong.clear()
    assert (sys.getrefcount(value), sys.getrefcount(amount)) == before
