"""Plots the times of all libraries on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from page import Comparison, Figures

# The rows, by the beginning of their titles.
ROWS = (
    "pipeline: success that never suspends",
    "pipeline: success that suspends once",
    "pipeline: awaited cache hit",
    "pipeline: cache miss",
    "retry alone",
    "timeout alone, never suspends",
    "timeout alone, suspends once",
    "rate_limit alone",
    "circuit_breaker alone",
    "bulkhead alone",
    "fallback alone",
    "hedge alone",
    "adaptive_limit alone",
    "fallback: the call fails",
    "circuit_breaker: a refusal",
    "rate_limit: a refusal",
    "rate_limit: try_acquire of a key",
    "cache: get, hit, 1,000 keys",
    "cache: get, hit, with time to live",
    "counter, no attributes",
    "histogram, no attributes",
    "exposition",
)
# Heights of names above and below the line, in points; the first free one is used.
LEVELS = (7.0, -12.0, 14.5, -19.5)
# The width of a letter on the axis.
DECADES_A_LETTER = 0.046
OURS, THEIRS, FLOOR = "#b7410e", "#5b6770", "#9aa5ac"


def draw(by_version: Mapping[str, Figures], path: Path) -> None:
    """Draw a panel for each version of Python."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "corten"  # equal figures give equal files
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    mpl.rcParams["font.family"] = "sans-serif"
    from matplotlib import pyplot

    rows = [title for title in ROWS if any(_find(figures, title) for figures in by_version.values())]
    height = 0.7 * len(rows) + 1.6
    figure, axes = pyplot.subplots(
        1, len(by_version), figsize=(8.2 * len(by_version), height), sharex=True, sharey=True, squeeze=False
    )
    for axis, (version, figures) in zip(axes[0], by_version.items(), strict=True):
        _panel(axis, version, figures, rows)
    axes[0][0].set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes[0][0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def _panel(axis: Any, version: str, figures: Figures, rows: list[str]) -> None:
    axis.set_xscale("log")
    axis.set_title(f"Python {version}: nanoseconds for the same, less is better", fontsize=11)
    axis.grid(axis="x", color="#e3e6e8", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(left=False)
    for place, title in enumerate(rows):
        comparison = _find(figures, title)
        if comparison is not None:
            _row(axis, place, comparison)
    axis.set_xlim(4, 300_000)


def _row(axis: Any, place: int, comparison: Comparison) -> None:
    shown = {name: max(value, 1.0) for name, value in comparison.nanoseconds.items() if not name.startswith("corten,")}
    ordered = sorted(shown.items(), key=lambda item: item[1])
    axis.plot([value for _, value in ordered], [place] * len(ordered), color="#d5dade", linewidth=1, zorder=1)
    ends = dict.fromkeys(LEVELS, 0.0)
    for name, value in ordered:
        ours = name == comparison.ours
        floor = name in (comparison.floor, comparison.over) or name.startswith("a frame")
        color = OURS if ours else FLOOR if floor else THEIRS
        axis.scatter(value, place, s=58 if ours else 30, color=color, marker="|" if floor else "o", zorder=3)
        level, start, end = _free(name, value, ends)
        ends[level] = end
        axis.annotate(
            name,
            (value, place),
            xytext=(0, level),
            textcoords="offset points",
            ha="left" if start == value else "center",
            fontsize=6.5,
            color=color,
            zorder=4 if ours else 2,
        )


def _free(name: str, value: float, ends: Mapping[float, float]) -> tuple[float, float, float]:
    """Find the nearest free height of a name, and its ends."""
    half = 10 ** (len(name) * DECADES_A_LETTER / 2)
    for level in LEVELS:
        if value / half >= ends[level]:
            return level, value / half, value * half
    level = min(ends, key=lambda level: ends[level])
    return level, value, value * half * half


def _find(figures: Figures, title: str) -> Comparison | None:
    return next((each for name, each in figures.comparisons.items() if name.startswith(title)), None)


def _label(title: str) -> str:
    return title.removeprefix("pipeline: ")
