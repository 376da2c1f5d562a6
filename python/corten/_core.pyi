"""The compiled core. Private: the faces are in `corten`; a test holds this file to the extension."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, final

_HistogramRow: TypeAlias = tuple[tuple[float, ...], tuple[int, ...], float]
_InstrumentRow: TypeAlias = tuple[
    str,
    Literal["counter", "gauge", "histogram"],
    str,
    str,
    list[tuple[tuple[tuple[str, str], ...], int | float | _HistogramRow]],
]

@final
class BoundCounter:
    """The sum of one set of attributes."""

    def add(self, amount: float = 1, /) -> None:
        """Add an amount, whole or not.

        :raises ValueError: it is negative or not finite
        """

    @property
    def value(self) -> int | float:
        """The sum so far: whole unless a fraction was ever added."""

@final
class BoundGauge:
    """The value of one set of attributes."""

    def set(self, value: float, /) -> None:
        """Replace the value."""

    def add(self, amount: float = 1.0, /) -> None:
        """Add to the value; a negative amount takes away."""

    @property
    def value(self) -> float:
        """The value now."""

@final
class BoundHistogram:
    """The distribution of one set of attributes."""

    def record(self, value: float, /) -> None:
        """Count a value.

        :raises ValueError: it is negative or not finite
        """

    def time(self) -> Timer:
        """Record the seconds of a `with` block.

        :raises ValueError: the unit is not seconds
        """

    @property
    def count(self) -> int:
        """How many values there were."""

    @property
    def sum(self) -> float:
        """The sum of all values."""

@final
class Clock:
    """Monotonic seconds: the machine's, or a fake one that only `advance` moves."""

    def __new__(cls) -> Clock: ...
    @staticmethod
    def fake(start: float) -> Clock: ...
    def now(self) -> float: ...
    def advance(self, seconds: float) -> float: ...

@final
class Counter:
    """A sum that only rises, for each set of attributes."""

    def add(self, amount: float = 1, /, **attributes: str | float) -> None:
        """Add an amount, whole or not.

        :raises ValueError: it is negative or not finite
        :raises TypeError: the attributes are not the counter's
        """

    def bind(self, **attributes: str | float) -> BoundCounter:
        """The sum of these attributes, to be kept and added to without a look-up."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes it takes."""

@final
class Gauge:
    """A value that goes up and down, for each set of attributes."""

    def set(self, value: float, /, **attributes: str | float) -> None:
        """Replace the value.

        :raises TypeError: the attributes are not the gauge's
        """

    def add(self, amount: float = 1.0, /, **attributes: str | float) -> None:
        """Add to the value; a negative amount takes away.

        :raises TypeError: the attributes are not the gauge's
        """

    def bind(self, **attributes: str | float) -> BoundGauge:
        """The value of these attributes, to be kept and set without a look-up."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes it takes."""

@final
class Histogram:
    """A distribution, for each set of attributes."""

    def record(self, value: float, /, **attributes: str | float) -> None:
        """Count a value.

        :raises ValueError: it is negative or not finite
        :raises TypeError: the attributes are not the histogram's
        """

    def time(self, **attributes: str | float) -> Timer:
        """Record the seconds of a `with` block, also of one that an error leaves.

        :raises ValueError: the histogram's unit is not seconds
        :raises TypeError: the attributes are not the histogram's
        """

    def bind(self, **attributes: str | float) -> BoundHistogram:
        """The distribution of these attributes, to be kept and recorded into without a look-up."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes it takes."""

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of the buckets."""

@final
class Registry:
    """Every instrument of one App."""

    def __new__(cls, clock: Clock | None = None, max_series: int = 1000) -> Registry: ...
    def counter(self, name: str, description: str, unit: str, attributes: list[str]) -> Counter: ...
    def gauge(self, name: str, description: str, unit: str, attributes: list[str]) -> Gauge: ...
    def histogram(
        self, name: str, description: str, unit: str, attributes: list[str], bounds: list[float]
    ) -> Histogram: ...
    def snapshot(
        self, collected: Sequence[tuple[str, Sequence[object]]]
    ) -> tuple[list[_InstrumentRow], list[tuple[str, str]]]:
        """All instruments and what collectors gave; and which collectors gave what could not be taken, and why."""

    def render(self, collected: Sequence[tuple[str, Sequence[object]]]) -> tuple[str, list[tuple[str, str]]]:
        """The same as OpenMetrics text."""

    def statistics(self) -> tuple[int, int, int]:
        """How many instruments, series and overflowed measurements there are."""

@final
class Timer:
    """Measures one `with` block; also one that an error leaves."""

    def __enter__(self) -> Timer: ...
    def __exit__(self, *error: object) -> None: ...
    @property
    def seconds(self) -> float:
        """Seconds since the block was entered, until it was left."""

def merge_snapshots(snapshots: Sequence[Sequence[object]], gauges: str) -> list[_InstrumentRow]: ...
def render_snapshot(instruments: Sequence[object]) -> str: ...
