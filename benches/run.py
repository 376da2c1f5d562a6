"""Runs the benches, each in a process, and writes docs/explanation/benchmarks.md.

Benches of the library alone run on this Python and, where `interpreters.py` finds one, on a second version. With names,
only those benches run, on this Python, and the page stays as it is.
"""

from __future__ import annotations

import argparse
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


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measure Corten and its peers, about 15 minutes, and write docs/explanation/benchmarks.md."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"run only these, on this Python, and write nothing: {', '.join((*LOCAL, *WITH_SERVERS))}",
    )
    parser.add_argument("--local", action="store_true", help=f"leave out {', '.join(WITH_SERVERS)}: they start servers")
    found = parser.parse_args()
    if unknown := set(found.names) - {*LOCAL, *WITH_SERVERS}:
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {', '.join((*LOCAL, *WITH_SERVERS))}")
    return found


def main() -> int:
    """Run the benches, and return 1 if one of them failed."""
    options = arguments()
    names = options.names
    began = time.monotonic()
    pythons = {interpreters.version(sys.executable): Path(sys.executable)}
    if not names:
        pythons |= interpreters.others(already=set(pythons))
    plan = [(version, python, name) for version, python in pythons.items() for name in names or LOCAL]
    if not names and not options.local:
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
