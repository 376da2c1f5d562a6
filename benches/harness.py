"""Measures alternatives side by side, in interleaved rounds.

Figures of different runs on a shared machine differ by a fifth and more, so only ratios within one run count. A
comparison runs Corten, the peers and the floor in turn for a millisecond each, takes the minimum over the rounds,
subtracts the loop's cost, and prints ratios. It appends the figures to the file `BENCH_RECORD`, for the tables and the
plot of the documentation.

    compare("get, hit", {"corten": Case("get(key)", get=ours.get, key=1), "dict": Case("get(key)", get={}.get, key=1),
                     "cachebox": Case("get(key)", get=theirs.get, key=1)}, floor="dict", targets={"cachebox": 1.0})
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

# Many short rounds: a scheduler that switches every few milliseconds leaves many of them undisturbed.
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "100"))
SECONDS_A_ROUND = 0.001


class Case:
    """A statement to measure, with its names. It may ``await``.

    :param statement: runs many times; its names become local variables
    :param operations: the number of operations in one statement
    :param baseline: a part of the statement to subtract, beside the loop
    :param setup: called before each round, outside of the measured time
    """

    def __init__(
        self,
        statement: str,
        *,
        operations: int = 1,
        baseline: str = "pass",
        setup: Callable[[], object] | None = None,
        **names: object,
    ) -> None:
        self.statement = statement
        self.operations = operations
        self.baseline = baseline
        self.setup = setup
        self.names = names

    @property
    def awaits(self) -> bool:
        return "await " in self.statement

    def compile(self, statement: str) -> Callable[[int], Coroutine[Any, Any, float]]:
        """Compile an async function: runs the statement n times, returns seconds."""
        names = ", ".join(f"{name}={name}" for name in self.names)
        lines = "\n        ".join(statement.splitlines())
        source = (
            f"async def measure(_n, {names}):\n"
            "    _start = _clock()\n"
            "    for _ in _repeat(None, _n):\n"
            f"        {lines}\n"
            "    return _clock() - _start\n"
        )
        namespace: dict[str, Any] = {**self.names, "_clock": time.perf_counter, "_repeat": repeat}
        exec(compile(source, f"<{statement}>", "exec"), namespace)  # our own statements, written in this folder
        return namespace["measure"]  # type: ignore[no-any-return]


def optional(module: str) -> ModuleType | None:
    """Import a peer; return None if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def compare(
    title: str,
    cases: Mapping[str, Case | str | Callable[[], object] | None],
    *,
    ours: str = "corten",
    floor: str | None = None,
    over: str | None = None,
    targets: Mapping[str, float] | None = None,
    rounds: int = ROUNDS,
    names: Mapping[str, object] | None = None,
) -> dict[str, float]:
    """Measure cases in turn; print and return nanoseconds by name.

    :param cases: statements (with `names`), callables without arguments (their call counts), or None: not installed
    :param ours: the case to compare with
    :param floor: the case with the least possible cost
    :param over: a case that all others contain; ratios are of the time beyond it
    :param targets: the wanted ratio ours/peer, by peer
    """
    made = compare_here(title, cases, ours=ours, floor=floor, over=over, targets=targets, rounds=rounds, names=names)
    return asyncio.run(made)


async def compare_here(
    title: str,
    cases: Mapping[str, Case | str | Callable[[], object] | None],
    *,
    ours: str = "corten",
    floor: str | None = None,
    over: str | None = None,
    targets: Mapping[str, float] | None = None,
    rounds: int = ROUNDS,
    names: Mapping[str, object] | None = None,
) -> dict[str, float]:
    """Do as :func:`compare`, in the running loop."""
    made = {name: _case(case, names or {}) for name, case in cases.items() if case is not None}
    figures = await _measure(made, rounds)
    missing = [name for name, case in cases.items() if case is None]
    _print(title, figures, missing, ours=ours, floor=floor, over=over)
    record(
        "comparison",
        title=title,
        ours=ours,
        floor=floor,
        over=over,
        nanoseconds=figures,
        missing=missing,
    )
    for peer, target in (targets or {}).items():
        if peer in figures:
            added = f"beyond {over}: " if over and peer != over else ""
            check(title, f"{added}{ours} / {peer}", _ratio(figures, ours, peer, over), target, " x")
    return figures


def check(title: str, what: str, value: float, target: float, unit: str) -> None:
    """Print a figure with its target, and whether it meets the target."""
    print(f"  {what}: {value:.3g}{unit}; target {target:.3g}{unit}: {'met' if value <= target else 'MISSED'}")
    record("check", title=title, what=what, value=value, target=target, unit=unit)


def record(kind: str, **values: object) -> None:
    """Append a row to the file `BENCH_RECORD`, if it is set."""
    path = os.environ.get("BENCH_RECORD")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")


def _ratio(figures: Mapping[str, float], ours: str, peer: str, over: str | None) -> float:
    base = figures[over] if over and peer != over else 0.0
    return (figures[ours] - base) / max(figures[peer] - base, 0.01)


def _case(case: Case | str | Callable[[], object], names: Mapping[str, object]) -> Case:
    if isinstance(case, Case):
        return case
    if isinstance(case, str):
        return Case(case, **names)
    return Case("call()", call=case)


async def _measure(cases: Mapping[str, Case], rounds: int) -> dict[str, float]:
    loops = {name: (case.compile(case.statement), case.compile(case.baseline)) for name, case in cases.items()}
    counts: dict[str, int] = {}
    for name, (loop, _) in loops.items():
        _setup(cases[name])
        count = 1
        while (seconds := await loop(count)) < SECONDS_A_ROUND / 4:
            count *= 2
        counts[name] = max(1, int(count * SECONDS_A_ROUND / seconds))
    best = dict.fromkeys(cases, float("inf"))
    base = dict.fromkeys(cases, float("inf"))
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, (loop, baseline) in loops.items():
                _setup(cases[name])
                best[name] = min(best[name], await loop(counts[name]) / counts[name])
                base[name] = min(base[name], await baseline(counts[name]) / counts[name])
    finally:
        gc.enable()
    return {name: max(0.0, best[name] - base[name]) * 1e9 / case.operations for name, case in cases.items()}


def _setup(case: Case) -> None:
    if case.setup is not None:
        case.setup()


def _print(
    title: str,
    figures: Mapping[str, float],
    missing: list[str],
    *,
    ours: str,
    floor: str | None,
    over: str | None,
) -> None:
    print(f"\n{title}")
    width = max(map(len, [*figures, *missing]))
    for name, nanoseconds in sorted(figures.items(), key=lambda item: item[1]):
        if name == ours:
            note = f"{_ratio(figures, ours, floor, None):.2f} x the floor" if floor else ""
        else:
            note = f"ours is {_ratio(figures, ours, name, over):7.3f} x" if name != over else "in all of these"
        print(f"  {name:<{width}}  {nanoseconds:>12,.1f} ns  {note}".rstrip())
    for name in missing:
        print(f"  {name:<{width}}  not installed")
