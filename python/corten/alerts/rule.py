"""Alert rules, as frozen data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from corten.events import Severity


class AlertRule(msgspec.Struct, frozen=True):
    """A metric that must not be above or below a threshold.

    The compared value depends on the instrument: the worst matching series of a gauge, the sum of the matching series
    of a counter, the mean of a histogram's values since the previous evaluation. With ``measure="rate"`` it is the
    increase per second since the previous evaluation; for a histogram, the increase of its count.
    """

    name: str
    metric: str
    """The instrument's name, without the suffixes of the text format."""
    above: float | None = None
    """Breached if the value is greater."""
    below: float | None = None
    """Breached if the value is less."""
    for_seconds: float = 0.0
    """Seconds of continuous breach before the alert fires."""
    severity: Severity = "warning"
    attributes: Mapping[str, str] = {}
    """Only series with these attributes; they may have more."""
    measure: Literal["value", "rate"] = "value"

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"alert rule {self.name!r}: give either above or below")
        if not math.isfinite(self.threshold):
            raise ValueError(f"alert rule {self.name!r}: the threshold must be finite, not {self.threshold}")
        check_duration(self.name, self.for_seconds)

    @property
    def threshold(self) -> float:
        """The value of ``above`` or ``below``."""
        return self.above if self.above is not None else self.below if self.below is not None else math.nan

    def breached_by(self, value: float) -> bool:
        """Return whether a value breaches the rule."""
        return value > self.threshold if self.above is not None else value < self.threshold

    def describe(self, value: float | None) -> str:
        """Return the value and the threshold, in words."""
        word = "above" if self.above is not None else "below"
        filtered = "{" + ", ".join(f"{name}={value}" for name, value in self.attributes.items()) + "}"
        what = self.metric + (filtered if self.attributes else "") + (" a second" if self.measure == "rate" else "")
        measured = "has no value" if value is None else f"is {value:.6g}"
        return f"{what} {measured}; the alert is for {word} {self.threshold:.6g}"


class HealthRule(msgspec.Struct, frozen=True):
    """A health check that must not be down (or not even degraded)."""

    name: str
    check: str
    """The check's name."""
    status: Literal["degraded", "down"] = "down"
    """The least bad status that breaches the rule."""
    for_seconds: float = 0.0
    """Seconds of continuous breach before the alert fires."""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        check_duration(self.name, self.for_seconds)


def check_duration(rule: str, seconds: float) -> None:
    """Check that a duration is finite and not negative.

    :raises ValueError: it is not
    """
    if not 0 <= seconds < math.inf:
        raise ValueError(f"alert rule {rule!r}: for_seconds must be finite and not negative, not {seconds}")
