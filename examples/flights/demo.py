"""The whole job by one command: real servers, 336,776 flights, exact totals, and a service that stays up.

``python demo.py`` stays up until Ctrl-C; ``python demo.py --once`` ends when the totals are exact. Kill it at any moment
and run it again: the totals still come out exact.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import msgspec
from corten import App
from corten.dev import serving_dev
from corten_ops import Ops
from data import FLIGHTS
from loading import prepare, publish, totals
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from service import app

STALLED = 120.0
"""Seconds without any progress after which something is wrong."""


class Result(msgspec.Struct, frozen=True):
    """What came out."""

    input: int
    stored: int
    dead_lettered: int
    seconds: float

    @property
    def exact(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        return self.stored + self.dead_lettered == self.input


async def work(app: App[Any], count: int, console: Console) -> Result:
    """Publish and wait until everything is stored or dead-lettered."""
    bars = Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bars:
        await prepare(app)
        began = time.perf_counter()
        publishing = bars.add_task("published", total=count, rate="")
        handling = bars.add_task("done", total=count, rate="")
        stored, dead = await totals(app)
        last, moved = stored + dead, time.perf_counter()

        def published(sent: int) -> None:
            bars.update(publishing, completed=sent)

        async with anyio.create_task_group() as group:
            group.start_soon(publish, app, count, published)
            while stored + dead < count:
                await anyio.sleep(0.25)
                stored, dead = await totals(app)
                done, seconds = stored + dead, time.perf_counter() - began
                bars.update(handling, completed=done, rate=f"{done / seconds:,.0f}/s")
                if not console.is_terminal:
                    console.print(f"done={done}", highlight=False)
                if done != last:
                    last, moved = done, time.perf_counter()
                elif time.perf_counter() - moved > STALLED:
                    raise SystemExit(f"nothing has moved for {STALLED:.0f} s at {done} of {count}; see the log above")
        return Result(count, stored, dead, time.perf_counter() - began)


def what_to_try(app: App[Any], console: Console) -> None:
    """Where things are, once all is done."""
    api = f"http://127.0.0.1:{app.settings.port}"
    ops = app.get(Ops).url
    console.print(f"""
[bold]The service stays up.[/bold] Ctrl-C ends it and its servers.

  [cyan]{api}/[/cyan]               what is stored and dead-lettered
  [cyan]{api}/delays/LAX[/cyan]     cached for ten seconds, at most 50 questions a second
  [cyan]{api}/dead-letters[/cyan]   what was incomplete, with the cause
  [cyan]{ops}/[/cyan]               operations: state, pipelines, checks
  [cyan]{ops}/readyz[/cyan]         health
  [cyan]{ops}/metrics[/cyan]        OpenMetrics
""")


async def main() -> int:
    """Run the demo; the exit code."""
    arguments = argparse.ArgumentParser(description="flights: broker → guarded, cached lookups → PostgreSQL")
    arguments.add_argument("--once", action="store_true", help="end when the totals are exact")
    arguments.add_argument("--flights", type=int, default=FLIGHTS, metavar="N", help="only the first N flights")
    arguments.add_argument("--folder", type=Path, default=Path(__file__).parent / ".corten", help="the servers' data")
    arguments.add_argument("--keep", action="store_true", help="go on with the data that is there")
    options = arguments.parse_args()
    console = Console(highlight=False)
    async with serving_dev(app, folder=options.folder / "dev", console=console):
        result = await work(app, options.flights, console)
        console.print(
            f"stored={result.stored} dead_lettered={result.dead_lettered} input={result.input}"
            f"\n{result.input / result.seconds:,.0f} flights a second, {result.seconds:.1f} s"
        )
        if not result.exact:
            console.print("[red]the totals do not add up[/red]")
            return 1
        if not options.once:
            what_to_try(app, console)
            await anyio.sleep_forever()
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(main))
