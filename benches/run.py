"""Runs each bench of this folder in its own process and writes the figures and plot of docs/explanation/benchmarks.md.

``python benches/run.py [NAME …]`` runs only those named, with this Python alone, and writes nothing. ``--local`` leaves
out those that start servers. What measures the library alone runs on this Python and, where one is found, on another
version too: see `interpreters.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import interpreters
import page

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
LOCAL = (
    "pipeline",
    "policies",
    "crowd",
    "rate_limit",
    "circuit_breaker",
    "hedge",
    "fallback",
    "cache",
    "metrics",
    "import_time",
)
WITH_SERVERS = ("redis_plugin", "postgres", "kafka", "flights")
RECORDS = ROOT / "target" / "benches"


def main() -> int:
    began = time.monotonic()
    names = [name for name in sys.argv[1:] if not name.startswith("-")]
    unknown = set(names) - {*LOCAL, *WITH_SERVERS}
    if unknown:
        print(f"no bench {', '.join(sorted(unknown))}; there are {', '.join((*LOCAL, *WITH_SERVERS))}")
        return 2
    pythons = {interpreters.version(sys.executable): Path(sys.executable)}
    if not names:
        pythons |= interpreters.others(already=set(pythons))
    plan = [(version, python, name) for version, python in pythons.items() for name in names or LOCAL]
    if not names and "--local" not in sys.argv:
        plan += [(*next(iter(pythons.items())), name) for name in WITH_SERVERS]
    RECORDS.mkdir(parents=True, exist_ok=True)
    records = {version: RECORDS / f"{version}.jsonl" for version in pythons}
    for path in records.values():
        path.unlink(missing_ok=True)
    failed = []
    for position, (version, python, name) in enumerate(plan, 1):
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        print(f"\n[{position}/{len(plan)}, {minutes}:{seconds:02}] {name} on Python {version}", flush=True)
        environ = {**os.environ, "BENCH_RECORD": str(records[version]), "BENCH_NAME": name}
        if subprocess.run([python, "-W", "ignore", FOLDER / f"{name}.py"], check=False, env=environ).returncode:
            failed.append(f"{name} on {version}")
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    elif not names:
        written = page.write(records)
        print(f"\n{int(time.monotonic() - began) // 60} minutes; written: {', '.join(map(str, written))}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
