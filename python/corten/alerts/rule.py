"""When to raise an alert, as frozen data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from corten.events import Severity


class AlertRule(msgspec.Struct, frozen=True):
    """A metric that must not be above or below a threshold.

    What is compared depends on the kind of instrument: of gauges the worst of the matching series; of counters the sum
    of the matching series; of histograms the mean of what was recorded since the evaluation before. With
    ``measure="rate"`` it is the increase a second since the evaluation before, of a histogram that of its count.
    """

    name: str
    metric: str
    """The instrument's name, without the suffixes of the text format."""
    above: float | None = None
    """Breached where the measure is greater than this."""
    below: float | None = None
    """Breached where the measure is less than this."""
    for_seconds: float = 0.0
    """How long it must be breached without a break before the alert fires."""
    severity: Severity = "warning"
    attributes: Mapping[str, str] = {}
    """Only series that have these attributes, whatever others they have."""
    measure: Literal["value", "rate"] = "value"

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"alert rule {self.name!r}: give either above or below")
        if not math.isfinite(self.threshold):
            raise ValueError(f"alert rule {self.name!r}: the threshold must be finite, not {self.threshold}")
        check_duration(self.name, self.for_seconds)

    @property
    def threshold(self) -> float:
        """The bound, whichever way it goes."""
        return self.above if self.above is not None else self.below if self.below is not None else math.nan

    def breached_by(self, value: float) -> bool:
        """Whether a measure breaches the rule."""
        return value > self.threshold if self.above is not None else value < self.threshold

    def describe(self, value: float | None) -> str:
        """What was measured and what was allowed, in words."""
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
    """The mildest status that breaches the rule."""
    for_seconds: float = 0.0
    """How long it must be breached without a break before the alert fires."""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        check_duration(self.name, self.for_seconds)


def check_duration(rule: str, seconds: float) -> None:
    """Refuse a duration that never passes or lies in the past."""
    if not 0 <= seconds < math.inf:
        raise ValueError(f"alert rule {rule!r}: for_seconds must be finite and not negative, not {seconds}")
