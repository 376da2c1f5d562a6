"""Writes the figures of a run into docs/explanation/benchmarks.md and its plot."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explanation" / "benchmarks.md"
PLOT = ROOT / "docs" / "explanation" / "benchmarks.svg"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


class Comparison(NamedTuple):
    """The figures of one comparison on one version of Python."""

    title: str
    ours: str
    floor: str | None
    over: str | None
    nanoseconds: dict[str, float]

    def ratio(self, name: str) -> float:
        """Return the ratio to a case, beyond the case that all contain."""
        base = self.nanoseconds[self.over] if self.over and name != self.over else 0.0
        return (self.nanoseconds[self.ours] - base) / max(self.nanoseconds[name] - base, 0.01)


class Figures(NamedTuple):
    """The figures of one version of Python."""

    comparisons: dict[str, Comparison]
    checks: dict[tuple[str, str], dict[str, Any]]


def read(path: Path) -> Figures:
    """Read the records of the benches."""
    figures = Figures({}, {})
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.pop("kind") == "check":
            figures.checks[row["title"], row["what"]] = row
        else:
            row.pop("missing")
            figures.comparisons[row["title"]] = Comparison(**row)
    return figures


def write(records: Mapping[str, Path]) -> list[Path]:
    """Write tables and plot; return the files."""
    by_version = {version: read(path) for version, path in records.items()}
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    section = "\n\n".join(["", machine(by_version), targets(by_version), "### All figures", *tables(by_version), ""])
    PAGE.write_text(before + BEGIN + section + END + after, encoding="utf-8")
    import plot

    plot.draw(by_version, PLOT)
    return [PAGE.relative_to(ROOT), PLOT.relative_to(ROOT)]


def machine(by_version: Mapping[str, Figures]) -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    versions = " and ".join(by_version)
    day = datetime.now(UTC).date().isoformat()
    return f"Measured on {day} with Python {versions}, {os.cpu_count()} cores ({model}), {platform.system()}."


def targets(by_version: Mapping[str, Figures]) -> str:
    """Make the table of figures with a target."""
    keys = list(dict.fromkeys(key for figures in by_version.values() for key in figures.checks))
    lines = [
        "### Targets",
        "",
        _row(["", "target", *(f"Python {v}" for v in by_version)]),
        _rule(2, by_version),
    ]
    for title, what in keys:
        cells = []
        bound = ""
        for figures in by_version.values():
            row = figures.checks.get((title, what))
            if row is None:
                cells.append("")
                continue
            bound = f"≤ {_number(row['target'])}{row['unit']}"
            value = _number(row["value"]) + row["unit"]
            cells.append(value if row["value"] <= row["target"] else f"**{value}**, missed")
        lines.append(_row([f"{title}: {what}", bound, *cells]))
    return "\n".join(lines)


def tables(by_version: Mapping[str, Figures]) -> list[str]:
    """Make a table for each comparison, with nanoseconds and ratios."""
    titles = list(dict.fromkeys(title for figures in by_version.values() for title in figures.comparisons))
    return [_table(title, by_version) for title in titles]


def _table(title: str, by_version: Mapping[str, Figures]) -> str:
    found = {version: figures.comparisons.get(title) for version, figures in by_version.items()}
    first = next(each for each in found.values() if each is not None)
    names = list(dict.fromkeys(name for each in found.values() if each is not None for name in each.nanoseconds))
    last = [each for each in found.values() if each is not None][-1]
    names.sort(key=lambda name: last.nanoseconds.get(name, first.nanoseconds.get(name, 0.0)))
    over = f"ours / it, beyond “{first.over}”" if first.over else "ours / it"
    header = [title]
    for version in by_version:
        header += [f"{version}: ns", over]
    lines = [_row(header), "|---|" + "---:|---:|" * len(by_version)]
    for name in names:
        cells = [f"**{name}**" if name == first.ours else name]
        for each in found.values():
            if each is None or name not in each.nanoseconds:
                cells += ["", ""]
                continue
            cells.append(_nanoseconds(each.nanoseconds[name]))
            cells.append("" if name in (each.ours, each.over) else _number(each.ratio(name)))
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(texts: int, by_version: Mapping[str, Figures]) -> str:
    return "|" + "---|" * texts + "---:|" * len(by_version)


def _nanoseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _number(value: float) -> str:
    """Format with three digits, far below one as a fraction."""
    if 0 < value < 0.1:
        return f"1/{1 / value:,.0f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
