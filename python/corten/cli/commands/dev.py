"""``corten dev``: the App in development, with real servers where no address is set."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from corten.cli.failure import reports_failures
from corten.cli.options import (
    app_argument,
    backend_option,
    config_option,
    configure,
    json_option,
    set_option,
    verbose_option,
)
from corten.cli.output import as_text, console, print_json, table
from corten.cli.target import find_app
from corten.dev import StartedService, app_servers
from corten.secrets import redact_url

_INTERRUPTED = 130


@click.command()
@app_argument()
@backend_option
@config_option
@set_option
@verbose_option
@json_option
@reports_failures
def dev(
    target: str, backend: Any, config: Path | None, assignments: Sequence[str], verbose: bool, as_json: bool
) -> None:
    """Run an app for development, with the servers it needs.

    For each section of the settings that names no address, and whose plugin can, a real server is started on a free
    port of this machine. Their data stays in .corten/dev/ of the current folder; delete it to begin anew. They end
    with the app, whatever happens to it. The environment is development.

    \b
    Examples:
      corten dev service:app
      corten dev service:app --set postgres.dsn=postgres://localhost/mine     this server is yours
    """
    app = find_app(target)
    configure(app, config, assignments, verbose=verbose)
    screen = console(stderr=True)
    servers = app_servers(app, starting=lambda service: screen.print(f"starting {service.name} …", markup=False))
    with ExitStack() as stack:
        try:
            started = stack.enter_context(servers)
        except KeyboardInterrupt:
            raise SystemExit(_INTERRUPTED) from None
        if as_json:
            print_json([_plain(each) for each in started])
        elif started:
            screen.print(_listed(started))
        else:
            screen.print("no dev services: every section has its address, or no plugin offers a server", style="dim")
        app.run(backend=backend)


def _shown_settings(service: StartedService) -> dict[str, object]:
    return {field: redact_url(value) if isinstance(value, str) else value for field, value in service.settings.items()}


def _plain(service: StartedService) -> dict[str, object]:
    return {
        "name": service.name,
        "section": service.section,
        "settings": _shown_settings(service),
        "folder": str(service.folder),
        "seconds": round(service.seconds, 3),
    }


def _listed(started: Sequence[StartedService]) -> Any:
    rows = [
        (
            each.name,
            "\n".join(f"{each.section}.{field} = {as_text(value)}" for field, value in _shown_settings(each).items()),
            _short(each.folder),
            f"{each.seconds:.1f} s",
        )
        for each in started
    ]
    return table(["server", "settings", "data", "started in"], rows)


def _short(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
