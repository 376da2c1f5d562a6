"""How long ``import corten`` takes as a whole process beyond an empty one, next to what a service imports anyway."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

MODULES = ("corten", "starlette.applications", "pydantic_settings")
ROUNDS = 15
TARGET = 0.1


def seconds(module: str) -> float:
    """One whole process that imports a module."""
    statement = f"import {module}" if module else "pass"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


def main() -> None:
    for module in MODULES:
        seconds(module)  # compiles what is not compiled yet
    empty: list[float] = []
    found: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(ROUNDS):
        empty.append(seconds(""))
        for module, times in found.items():
            times.append(seconds(module))
    print("\nimport, whole process less an empty one (median)")
    base = statistics.median(empty)
    ours = statistics.median(found["corten"]) - base
    for module, times in found.items():
        taken = statistics.median(times) - base
        note = (
            f"target {TARGET * 1e3:.0f} ms: {'met' if taken <= TARGET else 'MISSED'}"
            if module == "corten"
            else f"ours is {ours / taken:.2f} x"
        )
        print(f"  {module:<24} {taken * 1e3:7.1f} ms  {note}")


if __name__ == "__main__":
    main()
