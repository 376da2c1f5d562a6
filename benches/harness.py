"""Measures alternatives side by side: interleaved rounds, the minimum over rounds, the loop's own cost subtracted.

Figures of different runs on a shared machine differ by a fifth and more; ratios within one run are what counts. So
every comparison holds ours, the peers and the floor, runs each for some milliseconds in turn, and prints ratios.

    compare("get, hit", {"corten": Case("get(key)", get=ours.get, key=1), "dict": Case("get(key)", get={}.get, key=1),
                     "cachebox": Case("get(key)", get=theirs.get, key=1)}, floor="dict", targets={"cachebox": 1.0})
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from itertools import repeat
from types import ModuleType
from typing import Any

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "25"))
SECONDS_A_ROUND = 0.004


class Case:
    """One statement to measure, with the names it uses; ``await`` in it makes the whole comparison run in one loop.

    :param statement: runs many times; its names become local variables
    :param operations: how many operations one statement is
    :param baseline: what of the statement is not to be counted, next to the loop itself
    :param setup: called before each round, outside of the time
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
        """An async function that runs the statement so many times and gives back the seconds."""
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
    """A peer, or None where it is not installed; the comparison then says so."""
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
    targets: Mapping[str, float] | None = None,
    rounds: int = ROUNDS,
    names: Mapping[str, object] | None = None,
) -> dict[str, float]:
    """Measure the cases in turn and print a table; gives back nanoseconds per operation by name.

    :param cases: statements (with `names`), callables without arguments (their call counts), or None: not installed
    :param ours: the case that the others are compared to
    :param floor: the case that stands for the least possible
    :param targets: the ratio ours/peer that is wanted, by peer
    """
    return asyncio.run(compare_here(title, cases, ours=ours, floor=floor, targets=targets, rounds=rounds, names=names))


async def compare_here(
    title: str,
    cases: Mapping[str, Case | str | Callable[[], object] | None],
    *,
    ours: str = "corten",
    floor: str | None = None,
    targets: Mapping[str, float] | None = None,
    rounds: int = ROUNDS,
    names: Mapping[str, object] | None = None,
) -> dict[str, float]:
    """The same in the running loop, for cases that hold connections of it."""
    made = {name: _case(case, names or {}) for name, case in cases.items() if case is not None}
    figures = await _measure(made, rounds)
    missing = [name for name, case in cases.items() if case is None]
    _print(title, figures, missing, ours=ours, floor=floor, targets=targets or {})
    return figures


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
    targets: Mapping[str, float],
) -> None:
    own = figures[ours]
    if "--json" in sys.argv:
        print(json.dumps({"title": title, "nanoseconds": figures, "ours": ours, "targets": dict(targets)}))
        return
    print(f"\n{title}")
    width = max(map(len, [*figures, *missing]))
    for name, nanoseconds in sorted(figures.items(), key=lambda item: item[1]):
        note = "floor" if name == floor else ""
        if name == ours:
            note = f"{own / figures[floor]:.2f} x the floor" if floor and figures[floor] else ""
            ratio = ""
        else:
            ratio = f"ours is {own / nanoseconds:7.3f} x" if nanoseconds else ""
        if name in targets and nanoseconds:
            met = "met" if own / nanoseconds <= targets[name] else "MISSED"
            note = f"target {targets[name]:.3g}: {met}"
        print(f"  {name:<{width}}  {nanoseconds:>12,.1f} ns  {ratio:<18}  {note}".rstrip())
    for name in missing:
        print(f"  {name:<{width}}  not installed")
