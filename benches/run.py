"""Runs every bench of this folder, one process each, and stops at none that fails.

``python benches/run.py [NAME …]`` runs only those named.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NO_BENCH = {"run", "harness", "flights_peer"}


def main() -> int:
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NO_BENCH)
    failed = []
    for position, name in enumerate(names, 1):
        print(f"\n[{position}/{len(names)}] {name}", flush=True)
        if subprocess.run([sys.executable, FOLDER / f"{name}.py"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
