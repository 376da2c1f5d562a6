"""Draws docs/policies/adaptive_limit.svg: the adaptive limit while a server's capacity changes.

The simulation is in ``rust/core/examples/adaptive_limit.rs``. Time and chance are simulated too, so that every machine
draws the same picture. `policies.py` measures the cost of the policy.
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "policies" / "adaptive_limit.svg"
BELOW, ABOVE, NOISE, FIXED, CAPACITY = "#b7410e", "#2f6f8f", "#8a9a5b", "#5b6770", "#c9ced2"

Series = dict[str, list[tuple[float, float, float, float]]]
"""Rows of seconds, workers, limit and milliseconds, by name of the limit."""


def simulate() -> Series:
    """Run the simulation."""
    command = ["cargo", "run", "--quiet", "--locked", "--package", "corten-core", "--example", "adaptive_limit"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    series: Series = defaultdict(list)
    for line in lines:
        name, *numbers = line.split(";")
        seconds, workers, limit, milliseconds = map(float, numbers)
        series[name].append((seconds, workers, limit, milliseconds))
    return series


def draw(series: Series, path: Path) -> None:
    """Draw limits above latencies, on one time axis."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "corten"  # equal figures give equal files
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    mpl.rcParams["font.family"] = "sans-serif"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 1, figsize=(9, 9), sharex=True)
    for axis, algorithm, capacity in (
        (axes[0], "gradient", "workers of the server"),
        (axes[1], "aimd", "workers, and room for 10 that wait"),
    ):
        more = 10 if algorithm == "aimd" else 0
        first = series[f"{algorithm}, begins at 2"]
        axis.fill_between(
            [each[0] for each in first], [each[1] + more for each in first], color=CAPACITY, alpha=0.55, label=capacity
        )
        for name, color, label in (
            ("begins at 200", ABOVE, "begins at 200"),
            ("noise", NOISE, "with noise, outliers and failures"),
            ("begins at 2", BELOW, "begins at 2"),
        ):
            _line(axis, series[f"{algorithm}, {name}"], 2, color, label)
        axis.set_ylim(0, 150)
        axis.set_title(f"{algorithm}: the limit", loc="left", fontsize=11)
    _line(axes[2], series["a fixed limit of 200"], 3, FIXED, "a fixed limit of 200")
    _line(axes[2], series["gradient, begins at 200"], 3, ABOVE, "gradient, begins at 200")
    axes[2].set_ylim(0, 120)
    axes[2].set_title("milliseconds that a call takes; 10 when the server is idle", loc="left", fontsize=11)
    axes[2].set_xlabel("simulated seconds")
    for axis in axes:
        axis.set_xlim(0, 45)
        axis.grid(axis="y", color="#e3e6e8", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.legend(loc="upper right", fontsize=8, frameon=False, ncols=2)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def _line(axis: Any, points: list[tuple[float, float, float, float]], column: int, color: str, label: str) -> None:
    axis.plot([each[0] for each in points], [each[column] for each in points], color=color, linewidth=1.4, label=label)


if __name__ == "__main__":
    draw(simulate(), PICTURE)
    print(f"drew {PICTURE.relative_to(ROOT)}")
