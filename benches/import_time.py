"""The time of ``import corten``, next to other imports of a service.

``corten`` alone is lazy; what counts is the line that users write, which imports the App, pipelines and policies. The
target was set on a machine where starlette took 144 ms; on others it is the same share of what starlette takes there.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from harness import check

OURS = "from corten import App, Pipeline, RateLimit"
PROGRAMS = (
    "import corten",
    OURS,
    "import msgspec",
    "import starlette.applications",
    "import pydantic_settings",
)
ROUNDS = 15
TARGET = 0.1
SHARE = TARGET / 0.144


def seconds(program: str, environ: dict[str, str]) -> float:
    """One whole process that imports something."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, env=environ)
    return time.perf_counter() - began


def main() -> None:
    # As on any machine of a user's: bytecode is compiled once and kept.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        measure({**environ, "PYTHONPYCACHEPREFIX": folder})


def measure(environ: dict[str, str]) -> None:
    """Run all programs by turns and print the medians."""
    for program in PROGRAMS:
        seconds(program, environ)  # compiles the modules
    empty: list[float] = []
    found: dict[str, list[float]] = {program: [] for program in PROGRAMS}
    for _ in range(ROUNDS):
        empty.append(seconds("pass", environ))
        for program, times in found.items():
            times.append(seconds(program, environ))
    print("\nimport, whole process less an empty one (median)")
    base = statistics.median(empty)
    ours = statistics.median(found[OURS]) - base
    allowed = SHARE * (statistics.median(found["import starlette.applications"]) - base)
    for program, times in found.items():
        taken = statistics.median(times) - base
        note = "" if "corten" in program else f"ours is {ours / taken:.2f} x"
        print(f"  {program:<45} {taken * 1e3:7.1f} ms  {note}".rstrip())
    check(f"import ({TARGET * 1e3:.0f} ms where starlette takes 144)", OURS, ours * 1e3, allowed * 1e3, " ms")


if __name__ == "__main__":
    main()
