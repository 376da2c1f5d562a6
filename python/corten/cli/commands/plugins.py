"""``corten plugins``: each plugin with origin, order, settings, hooks and state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from corten.app import App
from corten.app.internals import internals_of
from corten.app.lifecycle import exit_codes
from corten.cli.failure import Failure, reports_failures
from corten.cli.options import app_argument, config_option, configure, json_option
from corten.cli.output import console, print_json, table
from corten.cli.target import find_app
from corten.errors import CortenError, PluginError, SettingsError
from corten.plugins.record import PluginRecord

_STYLES = {"active": "green", "inactive": "yellow", "failed": "red bold"}


@click.command()
@app_argument(required=False)
@config_option
@json_option
@reports_failures
def plugins(target: str | None, config: Path | None, as_json: bool) -> None:
    """List plugins in the order in which their hooks are called.

    Without APP: those that are installed, in the light of the settings in this folder. A plugin is inactive where none
    of its sections is configured; one that has failed says why.

    \b
    Examples:
      corten plugins
      corten plugins service:app --json

    Exit code 70 where a plugin is broken.
    """
    app: App[Any] = find_app(target) if target is not None else App("plugins")
    configure(app, config, ())
    hint = _load(app, alone=target is None)
    records = app.plugins
    if as_json:
        print_json(records)
    elif not records:
        click.echo("no plugins; install some: pip install 'corten[postgres]'")
    else:
        columns = ["order", "plugin", "version", "state", "settings", "hooks"]
        console().print(table(columns, map(_row, records), no_wrap=["order", "plugin", "state"]))
    for record in records:
        if record.error:
            click.echo(click.style(f"{record.name} ({record.origin}): ", fg="red") + record.error, err=True)
    if hint:
        click.echo(click.style("warning: ", fg="yellow") + hint, err=True)
    if any(record.state == "failed" for record in records):
        raise SystemExit(exit_codes.BROKEN)


def _load(app: App[Any], *, alone: bool) -> str:
    """Find the plugins and which are active; ``corten doctor`` reports other problems."""
    try:
        internals = internals_of(app)
        loaded = internals.settings.sources.load(internals.settings.sections(), ignore_unknown=alone)
        internals.plugins.activate(loaded.is_active)
    except SettingsError as error:
        count = len(error.problems)
        return f"{count} problem{'s' if count > 1 else ''} in the settings, so states may be wrong: see corten doctor"
    except PluginError as error:
        return "" if any(each.error for each in app.plugins) else str(error)
    except ExceptionGroup as group:
        if any(not isinstance(leaf, CortenError) for leaf in exit_codes.leaves(group)):
            raise
        if not app.plugins:
            raise Failure("\n".join(map(str, exit_codes.leaves(group))), exit_codes.of(group)) from None
    return ""


def _row(record: PluginRecord) -> tuple[str | Text, ...]:
    where = f"{record.distribution} {record.version}".strip() or record.origin
    return (
        str(record.order or ""),
        record.name,
        where,
        Text(record.state, _STYLES[record.state]),
        " ".join(f"[{section}]" for section in record.sections),
        " ".join(hook.removeprefix("corten_") for hook in record.hooks),
    )
