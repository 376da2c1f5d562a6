"""``corten run``: the App as the whole program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from corten.cli.failure import reports_failures
from corten.cli.options import app_argument, backend_option, config_option, configure, set_option, verbose_option
from corten.cli.target import find_app


@click.command()
@app_argument()
@backend_option
@click.option("--loop", type=click.Choice(["uvloop"]), default=None, help="A faster event loop for asyncio.")
@config_option
@set_option
@verbose_option
@reports_failures
def run(target: str, backend: Any, loop: Any, config: Path | None, assignments: Sequence[str], verbose: bool) -> None:
    """Run an app until a signal, a failure, or its own end.

    The first Ctrl-C or SIGTERM stops it phase by phase, within the deadline of [shutdown]; a second one ends it at
    once. The environment is production.

    \b
    Examples:
      corten run service:app
      corten run service:app --config /etc/service.toml --set logs.format=json
      corten run service:create_app --loop uvloop

    \b
    Exit codes:
      0 stopped cleanly    1 failed            2 wrong command line
      69 a server is away or a port in use    70 a plugin is broken    78 settings are wrong
    """
    app = find_app(target)
    configure(app, config, assignments, verbose=verbose)
    app.run(backend=backend, loop=loop)
