"""The settings and the core read rates alike, as far as the core goes: from one in a hundred days to 1e9 a second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten import _core
from corten.settings import parse_rate

UNITS = ["ms", "s", "sec", "second", "m", "min", "minute", "h", "hour", "d", "day", "w"]


@given(
    st.decimals(min_value=1, max_value=100_000, places=3),
    st.sampled_from(["", "2", "30", "1.5"]),
    st.sampled_from(UNITS),
)
def test_what_the_settings_accept_the_core_reads_as_the_same_rate(events, many: str, unit: str) -> None:
    text = f"{events}/{many}{unit}"
    assert _core.parse_rate(text) == pytest.approx(parse_rate(text), rel=1e-12)


@given(st.text(alphabet="0123456789./ smhd-e", max_size=12))
def test_what_the_settings_accept_is_never_refused_by_the_core(text: str) -> None:
    try:
        rate = parse_rate(text)
    except ValueError:
        return
    if 1e-7 <= rate <= 1e9:
        assert _core.parse_rate(text) == pytest.approx(rate, rel=1e-12)
