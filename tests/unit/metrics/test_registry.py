"""What a registry gives, aggregates, refuses and survives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

import pytest

from corten.metrics import (
    Collector,
    Counter,
    HistogramPoint,
    Measurement,
    Registry,
    Snapshot,
    default_registry,
)
from corten.testing import FakeClock


def values(snapshot: Snapshot, name: str) -> dict[tuple[tuple[str, str], ...], object]:
    """The series of one instrument by their attributes."""
    return {
        series.attributes: series.value
        for instrument in snapshot.instruments
        if instrument.name == name
        for series in instrument.series
    }


@pytest.fixture
def registry() -> Registry:
    return Registry()


class TestInstruments:
    def test_a_counter_sums_up_for_each_set_of_attributes(self, registry: Registry) -> None:
        calls = registry.counter("calls", "Calls", attributes=("pipeline", "outcome"))
        calls.add(pipeline="users", outcome="hit")
        calls.add(2, outcome="hit", pipeline="users")
        calls.bind(outcome="error", pipeline="users").add(5)
        assert values(registry.snapshot(), "calls") == {
            (("outcome", "hit"), ("pipeline", "users")): 3,
            (("outcome", "error"), ("pipeline", "users")): 5,
        }

    def test_whole_sums_stay_whole_and_fractions_make_them_real(self, registry: Registry) -> None:
        busy = registry.counter("busy", unit="seconds").bind()
        busy.add(2**60)
        busy.add(1)
        assert busy.value == 2**60 + 1
        assert isinstance(busy.value, int)
        busy.add(0.5)
        assert busy.value == 2.0**60 + 1.5

    def test_a_gauge_goes_up_and_down(self, registry: Registry) -> None:
        level = registry.gauge("level")
        level.set(3)
        level.add(-4.5)
        level.add()
        assert level.bind().value == -0.5

    def test_a_value_on_a_bound_belongs_to_the_bucket_below_it(self, registry: Registry) -> None:
        size = registry.histogram("size", bounds=(1, 10))
        for value in (0, 1, 1.5, 10, 11):
            size.record(value)
        assert values(registry.snapshot(), "size") == {
            (): HistogramPoint(bounds=(1.0, 10.0), counts=(2, 2, 1), sum=23.5)
        }
        assert (size.bind().count, size.bind().sum, size.bounds) == (5, 23.5, (1.0, 10.0))

    def test_an_instrument_without_attributes_shows_before_it_has_measured(self, registry: Registry) -> None:
        registry.counter("calls")
        assert values(registry.snapshot(), "calls") == {(): 0}

    def test_numbers_and_truth_become_text_in_attributes(self, registry: Registry) -> None:
        replies = registry.counter("replies", attributes=("status", "cached", "share"))
        replies.add(1, status=200, cached=True, share=0.5)
        assert values(registry.snapshot(), "replies") == {(("cached", "true"), ("share", "0.5"), ("status", "200")): 1}

    def test_a_lone_surrogate_does_not_cost_the_measurement(self, registry: Registry) -> None:
        calls = registry.counter("calls", attributes=("path",))
        calls.add(1, path="/\udcff")
        ((attributes, value),) = values(registry.snapshot(), "calls").items()
        assert value == 1
        assert attributes[0][1].startswith("/\ufffd")

    def test_many_attributes_work_like_few(self, registry: Registry) -> None:
        names = [f"name_{number}" for number in range(12)]
        wide = registry.counter("wide", attributes=names)
        wide.add(1, **{name: name for name in reversed(names)})
        wide.add(1, **{name: name for name in names})
        assert list(values(registry.snapshot(), "wide").values()) == [2]

    @pytest.mark.parametrize("amount", [-1, -0.5, float("nan"), float("inf"), float("-inf"), -(2**70)])
    def test_what_would_spoil_a_sum_is_refused_with_the_reason(self, registry: Registry, amount: float) -> None:
        calls, size = registry.counter("calls"), registry.histogram("size")
        for counter in (calls, calls.bind()):
            with pytest.raises(ValueError, match="calls: a counter only rises: add a finite number"):
                counter.add(amount)
        for histogram in (size, size.bind()):
            with pytest.raises(ValueError, match="size: record a finite number that is not negative"):
                histogram.record(amount)
        assert (calls.bind().value, size.bind().count) == (0, 0)

    @pytest.mark.parametrize("attributes", [{}, {"outcome": "x"}, {"pipeline": "x", "result": "y"}])
    def test_wrong_attributes_are_refused_with_the_right_ones(
        self, registry: Registry, attributes: dict[str, str]
    ) -> None:
        calls = registry.counter("calls", attributes=("pipeline", "outcome"))
        for refused in (lambda: calls.add(1, **attributes), lambda: calls.bind(**attributes)):
            with pytest.raises(TypeError, match="calls takes the attributes pipeline, outcome, not "):
                refused()

    def test_attributes_where_there_are_none_are_refused(self, registry: Registry) -> None:
        with pytest.raises(TypeError, match="calls takes no attributes, not the attributes outcome"):
            registry.counter("calls").add(1, outcome="x")

    def test_an_attribute_of_another_type_is_refused_by_name(self, registry: Registry) -> None:
        calls = registry.counter("calls", attributes=("outcome",))
        with pytest.raises(TypeError, match="calls: the attribute outcome is text or a number, not NoneType"):
            calls.add(1, outcome=None)  # type: ignore[arg-type]

    def test_an_attribute_may_have_the_name_of_a_parameter(self, registry: Registry) -> None:
        odd = registry.counter("odd", attributes=("amount", "self"))
        odd.add(2, amount="a", self="b")
        assert values(registry.snapshot(), "odd") == {(("amount", "a"), ("self", "b")): 2}

    def test_an_amount_that_is_no_number_is_refused(self, registry: Registry) -> None:
        for refused in (registry.counter("calls").add, registry.gauge("level").set, registry.histogram("size").record):
            with pytest.raises(TypeError, match="number"):
                refused("1")  # type: ignore[arg-type]


class TestTimer:
    def test_the_seconds_of_a_block_are_recorded_also_when_it_raises(self) -> None:
        clock = FakeClock()
        duration = Registry(clock).histogram("duration", unit="seconds", attributes=("what",))
        with duration.time(what="sync") as timer:
            clock.tick(0.25)
            assert timer.seconds == pytest.approx(0.25)
        with pytest.raises(RuntimeError, match="mine"), duration.bind(what="sync").time():
            clock.tick(0.5)
            raise RuntimeError("mine")
        clock.tick(9)
        assert timer.seconds == pytest.approx(0.25)
        assert duration.bind(what="sync").sum == pytest.approx(0.75)
        assert duration.bind(what="sync").count == 2

    def test_a_timer_measures_one_block(self, registry: Registry) -> None:
        timer = registry.histogram("duration").time()
        with timer:
            pass
        with pytest.raises(RuntimeError, match="one block"), timer:
            pass

    def test_a_histogram_of_something_else_has_no_timer(self, registry: Registry) -> None:
        with pytest.raises(ValueError, match=r"size is in bytes; time\(\) records seconds"):
            registry.histogram("size", unit="bytes").time()


class TestNames:
    def test_a_name_asked_for_again_is_the_same_instrument(self, registry: Registry) -> None:
        first = registry.counter("calls", attributes=("a", "b"))
        assert registry.counter("calls", "said later", attributes=("b", "a")) is first
        assert isinstance(first, Counter)
        assert (first.name, first.attributes, repr(first)) == ("calls", ("a", "b"), "<Counter calls(a, b)>")

    def test_an_instrument_that_differs_is_refused(self, registry: Registry) -> None:
        registry.counter("calls", attributes=("a",))
        registry.histogram("size", bounds=(1, 2))
        with pytest.raises(ValueError, match="calls is registered already as a counter, not as a gauge"):
            registry.gauge("calls")
        with pytest.raises(ValueError, match=r"calls is registered already .* attributes \(a\), not \(b\)"):
            registry.counter("calls", attributes=("b",))
        with pytest.raises(ValueError, match=r'calls is registered already .* unit "", not "bytes"'):
            registry.counter("calls", unit="bytes", attributes=("a",))
        with pytest.raises(ValueError, match=r"size is registered already .* bounds"):
            registry.histogram("size", bounds=(1, 3))

    def test_two_instruments_never_share_a_line_of_text(self, registry: Registry) -> None:
        registry.counter("calls")
        with pytest.raises(ValueError, match="calls_total would be exposed as calls_total, which is taken by calls"):
            registry.gauge("calls_total")

    @pytest.mark.parametrize("name", ["", "two words", "9lives", "calls.made", "calls\n# EOF", "calls_total", "ä"])
    def test_a_name_that_cannot_be_exposed_is_refused(self, registry: Registry, name: str) -> None:
        with pytest.raises(ValueError, match="cannot name an instrument"):
            registry.counter(name)

    @pytest.mark.parametrize("attribute", ["", "a b", "le", "__name__", "otel_metric_overflow", 'a="1"} 5\n'])
    def test_an_attribute_that_cannot_be_exposed_is_refused(self, registry: Registry, attribute: str) -> None:
        with pytest.raises(ValueError, match=r"calls: .* cannot name an attribute"):
            registry.counter("calls", attributes=(attribute,))
        registry.gauge("calls")  # nothing was registered by the mistake

    def test_an_attribute_named_twice_is_refused(self, registry: Registry) -> None:
        with pytest.raises(ValueError, match="it is named twice"):
            registry.counter("calls", attributes=("a", "b", "a"))

    def test_attributes_given_as_one_text_are_refused(self, registry: Registry) -> None:
        with pytest.raises(TypeError, match=r"write \('outcome',\)"):
            registry.counter("calls", attributes="outcome")

    @pytest.mark.parametrize("bounds", [(), (2, 1), (1, 1), (-1, 1), (float("inf"),), (float("nan"),)])
    def test_bounds_that_are_none_are_refused(self, registry: Registry, bounds: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="size: bounds must be finite, not negative and rising"):
            registry.histogram("size", bounds=bounds)


class TestCap:
    def test_a_million_values_of_an_attribute_stay_bounded(self, registry: Registry) -> None:
        calls = registry.counter("calls", attributes=("user",))
        for user in range(1_000_000):
            calls.add(1, user=f"{user}")
        found = values(registry.snapshot(), "calls")
        assert len(found) == 1_001
        assert found[(("otel_metric_overflow", "true"),)] == 999_000
        assert values(registry.snapshot(), "corten_metrics_overflow") == {(("instrument", "calls"),): 999_000}
        assert registry.statistics().series == 1_000

    def test_a_cap_below_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="max_series must be at least 1, not 0"):
            Registry(max_series=0)

    def test_what_was_there_before_the_cap_goes_on_counting(self) -> None:
        calls = Registry(max_series=1).counter("calls", attributes=("user",))
        first = calls.bind(user="first")
        beyond = calls.bind(user="second")
        first.add(1)
        calls.add(1, user="first")
        beyond.add(7)
        assert (first.value, calls.bind(user="third").value) == (2, 7)


class TestCollectors:
    def test_measurements_join_the_snapshot_and_the_text(self, registry: Registry) -> None:
        def collect() -> Iterable[Measurement]:
            yield Measurement("pool_size", 4, (("pool", "main"),), "Connections")
            yield Measurement("pool_opened", 7, kind="counter")

        registry.add_collector(Collector("pool", collect))
        snapshot = registry.snapshot()
        assert values(snapshot, "pool_size") == {(("pool", "main"),): 4.0}
        assert values(snapshot, "pool_opened") == {(): 7.0}
        assert 'pool_size{pool="main"} 4.0\n' in registry.render()

    def test_a_broken_collector_is_counted_and_logged_once_and_the_others_go_on(
        self, registry: Registry, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = True

        def collect() -> Iterable[Measurement]:
            if broken:
                raise RuntimeError("the pool is gone")
            return [Measurement("back", 1)]

        registry.add_collector(Collector("broken", collect))
        registry.add_collector(Collector("sound", lambda: [Measurement("sound", 1)]))
        with caplog.at_level(logging.WARNING, "corten.metrics"):
            assert "sound 1.0\n" in registry.render()
            registry.render()
        assert caplog.text.count("metrics collector 'broken' failed") == 1
        assert values(registry.snapshot(), "corten_metrics_collector_errors") == {(("collector", "broken"),): 2}
        broken = False
        assert "back 1.0\n" in registry.render()
        broken = True
        with caplog.at_level(logging.WARNING, "corten.metrics"):
            registry.render()
        assert caplog.text.count("metrics collector 'broken' failed") == 2

    @pytest.mark.parametrize(
        "given",
        [
            Measurement("two words", 1),
            Measurement("calls", 1),
            Measurement("calls_total", 1),
            Measurement("fine", 1, (("le", "1"),)),
            Measurement("fine", 1, (("a", "1"), ("a", "2"))),
            Measurement("fine", -1, kind="counter"),
            "not a measurement",
        ],
    )
    def test_what_cannot_be_exposed_is_left_out_and_said(
        self, registry: Registry, caplog: pytest.LogCaptureFixture, given: Measurement
    ) -> None:
        registry.counter("calls").add(3)
        registry.add_collector(Collector("odd", lambda: [given, Measurement("sound", 1)]))
        with caplog.at_level(logging.WARNING, "corten.metrics"):
            snapshot = registry.snapshot()
        assert values(snapshot, "sound") == {(): 1.0}
        assert values(snapshot, "calls") == {(): 3}
        assert "metrics collector 'odd' failed" in caplog.text

    def test_a_collector_can_be_taken_away_and_its_name_used_again(self, registry: Registry) -> None:
        remove = registry.add_collector(Collector("pool", lambda: [Measurement("size", 1)]))
        with pytest.raises(ValueError, match="there is a collector named 'pool' already"):
            registry.add_collector(Collector("pool", list))
        remove()
        remove()
        registry.add_collector(Collector("pool", list))
        assert values(registry.snapshot(), "size") == {}
        assert registry.statistics().collectors == 1


def test_a_snapshot_says_when_it_was_taken_and_since_when_it_counts() -> None:
    moments = iter([100.0, 160.0])
    snapshot = Registry(wall=lambda: next(moments)).snapshot()
    assert (snapshot.started, snapshot.time) == (100.0, 160.0)


def test_two_registries_share_nothing() -> None:
    first, second = Registry(), Registry()
    first.counter("calls").add()
    assert second.snapshot().instruments == ()
    assert default_registry() is default_registry()


def test_threads_lose_no_count(registry: Registry) -> None:
    calls = registry.counter("calls", attributes=("user",))
    size = registry.histogram("size", bounds=(1, 2))

    def work() -> None:
        for turn in range(20_000):
            calls.add(1, user=f"{turn % 50}")
            size.record(turn % 4)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        registry.render()
    for thread in threads:
        thread.join()
    assert set(values(registry.snapshot(), "calls").values()) == {1_600}
    assert (size.bind().count, size.bind().sum) == (80_000, 120_000.0)
