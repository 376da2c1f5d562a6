"""``corten config``: the settings in effect, each with where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.text import Text

from corten.app import App
from corten.app.internals import internals_of
from corten.app.pipelines import Resolver, located
from corten.cli.failure import reports_failures
from corten.cli.options import app_argument, config_option, configure, json_option, set_option
from corten.cli.output import as_text, console, print_json, table, visible
from corten.cli.target import find_app
from corten.errors import SettingsError
from corten.policies import Policy
from corten.settings import Effective
from corten.settings.display.effective import plain


@click.command()
@app_argument()
@click.argument("prefix", required=False, metavar="[PATH]")
@click.option("--changed", is_flag=True, help="Leave out what has its default.")
@config_option
@set_option
@json_option
@reports_failures
def config(
    target: str, prefix: str | None, changed: bool, config: Path | None, assignments: Sequence[str], as_json: bool
) -> None:
    """Show the settings in effect, and where each came from.

    Secrets are hidden, passwords in addresses too. Sections of plugins that are not configured are left out. Of
    pipelines that extend a profile or a table it shows what they came to.

    \b
    Examples:
      corten config service:app
      corten config service:app postgres          only these
      corten config service:app --changed --json

    Exit code 78 where something is wrong with them; every problem is listed.
    """
    app = find_app(target)
    configure(app, config, assignments)
    settings = app.load()
    entries = [
        each
        for each in _resolved(app, settings.effective())
        if (prefix is None or each.path == prefix or each.path.startswith(f"{prefix}."))
        and not (changed and each.source == "default")
    ]
    for warning in settings.warnings:
        click.echo(click.style("warning: ", fg="yellow") + warning, err=True)
    if as_json:
        print_json(entries)
        return
    if not entries:
        click.echo(f"no settings {'below ' + prefix if prefix else 'that differ from their defaults'}", err=True)
        return
    made = table(["setting", "value", "source"], [], no_wrap=["setting"])
    before = ""
    for entry in entries:
        section = entry.path.partition(".")[0] if "." in entry.path else ""
        if before != section and made.row_count:
            made.add_section()
        before = section
        made.add_row(*_row(entry))
    console().print(made)


def _resolved(app: App[Any], entries: Sequence[Effective]) -> Iterator[Effective]:
    """Yield the settings, with the resolved policies of pipelines that extend others."""
    settings = internals_of(app).settings
    resolver = Resolver(settings.own.pipelines)
    came_to = {
        f"pipelines.{name}.policies": resolved
        for name in resolver.tables
        if (resolved := resolver.resolve(name)) is not None and resolved.source
    }
    if problems := resolver.problems:
        raise SettingsError(located(problems, settings.loaded))
    for entry in entries:
        resolved = came_to.get(entry.path)
        if resolved is None:
            yield entry
        else:
            policies = tuple(resolved.policies)
            # With their defaults: whoever looks up a profile wants its numbers.
            shown = plain(tuple[Policy, ...], policies, msgspec.to_builtins(policies, enc_hook=repr))
            yield Effective(entry.path, shown, resolved.source)


def _row(entry: Effective) -> tuple[Text, Text, Text]:
    style = "dim" if entry.source == "default" else ""
    value = str(entry.value) if entry.secret else as_text(entry.value)
    return (
        Text(visible(entry.path), style),
        Text(visible(value), "magenta" if entry.secret else style),
        Text(visible(entry.source), style),
    )
