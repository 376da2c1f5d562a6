"""Durations, sizes and rates."""

import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corten.settings import (
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("2s", 2.0),
        ("5m", 300.0),
        ("5min", 300.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        (" 1.5 h ", 5400.0),
        ("0.1s", 0.1),
        ("30", 30.0),
        ("7d", 604800.0),
        ("1w", 604800.0),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        (3, 3.0),
        (0.5, 0.5),
        ("0", 0.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "s", "5 parsecs", "-2s", "1h30", "1,5s", "ms5", "1e3s", "٣s", "9" * 70, -1, math.inf, math.nan]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str | float) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 << 20),
        ("64Mi", 64 << 20),
        ("10MB", 10_000_000),
        ("10 mb", 10_000_000),
        ("1.5GiB", 3 << 29),
        ("100", 100),
        ("7B", 7),
        (7, 7),
        (7.0, 7),
        ("0", 0),
    ],
)
def test_a_size_is_read_in_bytes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "64 apples", "-1MB", "1.3KiB", "0.5", 0.5, -1])
def test_what_is_no_size_is_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", 100.0),
        ("0.5/s", 0.5),
        ("5/min", 5 / 60),
        ("10/30s", 10 / 30),
        ("1/d", 1 / 86400),
        ("60 / minute", 1.0),
    ],
)
def test_a_rate_is_read_in_events_a_second(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["", "100", "100/", "/s", "100/30", "0/s", "5/0s", "-5/s", "5/s/s", "a/s", "2000000000/s", "1/1000w"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        parse_rate(text)


@given(
    st.decimals(min_value="0.01", max_value=999, places=2),
    st.sampled_from(["s", "min", "h", "d", "10s", "ms", "1h30m", "2 minutes", "W", "1.5 Sec", "3us", "1w2d3h4m5s6ms"]),
)
def test_the_period_of_a_rate_is_read_as_a_duration(events: Decimal, period: str) -> None:
    seconds = parse_duration(period if period[0].isdigit() else f"1{period}")
    assert parse_rate(f"{events}/{period}") == pytest.approx(float(events) / seconds, rel=1e-12)


@given(st.text(alphabet="0123456789. smhdwinu", max_size=8))
@example("0s")
def test_what_is_no_duration_is_no_period_of_a_rate(period: str) -> None:
    try:
        rate = parse_rate(f"1/{period}")
    except ValueError:
        return
    period = period.strip()
    assert rate == pytest.approx(1 / parse_duration(period if period[0].isdigit() else f"1{period}"), rel=1e-9)


@given(st.just(0.0) | st.floats(min_value=1e-12, max_value=1e12))
def test_a_formatted_duration_reads_as_the_same_number(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=10**9))
def test_whole_milliseconds_come_through_without_a_rounding_error(milliseconds: int) -> None:
    assert parse_duration(f"{milliseconds}ms") == milliseconds / 1000


@given(st.integers(min_value=0, max_value=2**63))
def test_a_formatted_size_reads_as_the_same_number(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_a_formatted_rate_reads_as_the_same_number(rate: float) -> None:
    assert parse_rate(format_rate(rate)) == rate


@given(st.text(max_size=80))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_rate):
        try:
            number = parse(text)
        except ValueError:
            continue
        assert number >= 0
        assert math.isfinite(number)


def test_formats_are_the_usual_ones() -> None:
    assert [format_duration(seconds) for seconds in (0, 0.25, 2, 60, 5400, 90061, 1.5, 0.0002)] == [
        "0s",
        "250ms",
        "2s",
        "1m",
        "1h30m",
        "1d1h1m1s",
        "1.5s",
        "200us",
    ]
    assert [format_size(size) for size in (0, 5, 1024, 64 << 20, 10_000_000)] == ["0B", "5B", "1KiB", "64MiB", "10MB"]
    assert [format_rate(rate) for rate in (100, 0.5, 5 / 60)] == ["100/s", "30/min", "5/min"]
