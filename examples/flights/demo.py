"""The whole job by one command: real servers, 336,776 flights, exact totals, and a service that stays up.

``python demo.py`` stays up until Ctrl-C; ``python demo.py --once`` ends when the totals are exact. Kill it at any
moment and run it again, or have one lookup and one batch in twenty fail with ``--chaos``: the totals still come out
exact.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import anyio
import msgspec
from data import FLIGHTS
from loading import begin, publish, totals
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from service import app

from corten.dev import app_servers
from corten.errors import CortenError
from corten.plugins import Task
from corten_ops import Ops

STALLED = 120.0
"""Seconds without any progress after which something is wrong."""

CHAOS = [{"policy": "chaos", "error_rate": 0.05, "error": ["OSError", "corten.errors.ChaosError"]}]
"""Innermost in the pipelines of lookups and of storing, with ``--chaos``."""

STOPPED = 130
"""The exit code where somebody stopped it before the totals were exact."""


class Options(msgspec.Struct, frozen=True):
    """What the command line said."""

    once: bool
    flights: int
    folder: Path
    chaos: bool


class Demo:
    """The job beside the service: publish, watch, and say what came out."""

    def __init__(self, options: Options, console: Console) -> None:
        self.options = options
        self.console = console
        self.exit_code = STOPPED

    async def run(self) -> None:
        """A task of the App: ends the App when ``--once`` is done."""
        count, console = self.options.flights, self.console
        there = await begin(app, count)
        if there:
            console.print(f"going on after a run that was cut off: {there:,} flights are there already")
        began = time.perf_counter()
        await self.watch(count, there)
        seconds = time.perf_counter() - began
        stored, dead = await totals(app)
        console.print(f"stored={stored} dead_lettered={dead} input={count}")
        if self.options.chaos:
            console.print(f"injected={injected()}")
        self.exit_code = 0 if stored + dead == count else 1
        if self.exit_code:
            console.print("[red]the totals do not add up[/red]")
        else:
            console.print(f"exact, in {seconds:.1f} s: {(count - there) / seconds:,.0f} flights a second")
        if self.options.once or self.exit_code:
            app.stop()
        else:
            self.say_what_to_try()

    async def watch(self, count: int, there: int) -> None:
        """Publish, and show how it goes until everything is stored or dead-lettered."""
        bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[rate]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        with bars:
            publishing = bars.add_task("published", total=count, rate="")
            handling = bars.add_task("handled", total=count, completed=there, rate="")
            began = moved = time.perf_counter()
            done = there

            async with anyio.create_task_group() as group:
                group.start_soon(publish, app, count, lambda sent: bars.update(publishing, completed=sent))
                while done < count:
                    await anyio.sleep(0.4)
                    before, done, now = done, sum(await totals(app)), time.perf_counter()
                    moved = now if done != before else moved
                    bars.update(handling, completed=done, rate=f"{(done - there) / (now - began):,.0f}/s")
                    if not self.console.is_terminal:
                        self.console.print(f"handled={done}")
                    if now - moved > STALLED:
                        raise CortenError(f"nothing has moved for {STALLED:.0f} s, at {done:,} of {count:,} flights")

    def say_what_to_try(self) -> None:
        """Where things are, once all is done."""
        api = f"http://127.0.0.1:{app.settings.port}"
        ops = app.get(Ops).url.rstrip("/")
        self.console.print(f"""
[bold]The service stays up.[/bold] Ctrl-C ends it and its servers.

  [cyan]{api}/[/cyan]               what is stored and dead-lettered
  [cyan]{api}/delays/LAX[/cyan]     cached for ten seconds, at most 50 questions a second
  [cyan]{api}/dead-letters[/cyan]   what was incomplete, with the cause
  [cyan]{ops}/[/cyan]               the operations page: state, checks, pipelines
  [cyan]{ops}/readyz[/cyan]         health
  [cyan]{ops}/metrics[/cyan]        OpenMetrics
""")


def injected() -> int:
    """How many calls chaos made fail."""
    return sum(chaos.errors for pipeline in app.pipelines.values() for chaos in pipeline.statistics().chaos)


def arguments() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="flights: broker → guarded, cached lookups → PostgreSQL")
    parser.add_argument("--once", action="store_true", help="end when the totals are exact")
    parser.add_argument("--flights", type=int, default=FLIGHTS, metavar="N", help="only the first N flights")
    parser.add_argument(
        "--folder", type=Path, default=Path(__file__).parent / ".corten" / "dev", help="the servers' data"
    )
    parser.add_argument("--chaos", action="store_true", help="have 5 % of the lookups and batches fail on purpose")
    found = parser.parse_args()
    if not 1 <= found.flights <= FLIGHTS:
        parser.error(f"--flights is {found.flights}; there are 1 to {FLIGHTS}")
    return Options(found.once, found.flights, found.folder, found.chaos)


def main() -> int:
    """Start the servers, run the App with the job in it; the exit code."""
    console = Console(highlight=False)
    demo = Demo(arguments(), console)
    app.add(Task("demo", demo.run, restart=False))
    if demo.options.chaos:
        around = {f"pipelines.{name}.inside": CHAOS for name in ("lookup", "store")}
        app.configure(arguments={"chaos.allowed": True, **around})
    try:
        with app_servers(
            app, folder=demo.options.folder, starting=lambda service: console.print(f"starting {service.name} …")
        ):
            app.run()
    except CortenError as error:
        console.print(f"[red]the demo did not start:[/red] {error}")
        return 69
    except KeyboardInterrupt:
        return STOPPED
    return demo.exit_code


if __name__ == "__main__":
    sys.exit(main())
