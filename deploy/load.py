"""The flights job's two steps beside the service: ``prepare`` makes tables and topic, ``publish`` sends the flights."""

from __future__ import annotations

import sys

import anyio
from data import FLIGHTS
from loading import publish
from tables import tables

from corten import App

STEPS = ("prepare", "publish")

app = App("flights-load", autoload=["kafka", "postgres"], config=None)
app.add(tables)


async def main(step: str, count: int) -> None:
    """Do one step with the servers that the settings name; tables and topic are there once the App has started."""
    async with app:
        if step == "publish":
            await publish(app, count, lambda _sent: None)
            print(f"published={count}")  # noqa: T201 - what the step is run for


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in STEPS:
        sys.exit(f"usage: load.py {'|'.join(STEPS)} [COUNT]")
    anyio.run(main, sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else FLIGHTS)
