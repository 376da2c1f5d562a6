"""How long ``import corten`` takes as a whole process beyond an empty one, next to what a service imports anyway."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

MODULES = ("corten", "starlette.applications", "pydantic_settings")
ROUNDS = 15
TARGET = 0.1


def seconds(module: str, environ: dict[str, str]) -> float:
    """One whole process that imports a module."""
    statement = f"import {module}" if module else "pass"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environ)
    return time.perf_counter() - began


def main() -> None:
    # As on any machine of a user's: bytecode is compiled once and kept.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        measure({**environ, "PYTHONPYCACHEPREFIX": folder})


def measure(environ: dict[str, str]) -> None:
    for module in MODULES:
        seconds(module, environ)  # compiles what is not compiled yet
    empty: list[float] = []
    found: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(ROUNDS):
        empty.append(seconds("", environ))
        for module, times in found.items():
            times.append(seconds(module, environ))
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
