"""``corten doctor``: problems that would stop an App from starting, with their fixes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from corten.cli.diagnosis import Diagnosis, Doctor, installation
from corten.cli.failure import Failure, reports_failures
from corten.cli.options import app_argument, backend_option, config_option, configure, json_option, set_option
from corten.cli.output import console, print_json, table, visible
from corten.cli.target import find_app
from corten.settings import parse_duration

_MARKS = {"ok": Text("ok", "green"), "warning": Text("warning", "yellow"), "problem": Text("problem", "red bold")}


@click.command()
@app_argument()
@backend_option
@click.option("--no-connect", is_flag=True, help="Do not try to connect to servers.")
@click.option("--timeout", metavar="DURATION", default="2s", show_default=True, help="For each server's answer.")
@config_option
@set_option
@json_option
@reports_failures
def doctor(
    target: str,
    backend: Any,
    no_connect: bool,
    timeout: str,
    config: Path | None,
    assignments: Sequence[str],
    as_json: bool,
) -> None:
    """Find what would stop an app from starting, each with the fix.

    Looks at Python and the compiled core, every plugin, all the settings, what resources require, pipelines without
    policies, ports that are taken and servers that do not answer. Starts nothing.

    \b
    Examples:
      corten doctor service:app
      corten doctor service:app --no-connect --json     in CI

    Exit code 0: it would start. 1: it would not.
    """
    try:
        seconds = parse_duration(timeout)
    except ValueError as error:
        raise Failure(f"--timeout: {error}", 2) from None
    found = list(installation())
    try:
        app = find_app(target)
    except Failure as failure:
        found.append(Diagnosis("app", "problem", failure.message, "correct the import string, or the module"))
    else:
        configure(app, config, assignments)
        found += Doctor(app, backend=backend, connect=not no_connect, timeout=seconds).diagnoses()
    found = list(dict.fromkeys(found))
    problems = sum(each.status == "problem" for each in found)
    if as_json:
        print_json({"starts": not problems, "diagnoses": found})
    else:
        console().print(
            table(["", "what", "found"], [(_MARKS[each.status], each.subject, _found(each)) for each in found])
        )
        words = f"{problems} problem{'s' if problems > 1 else ''}: it would not start" if problems else "it would start"
        click.secho(words, fg="red" if problems else "green", bold=True)
    raise SystemExit(1 if problems else 0)


def _found(diagnosis: Diagnosis) -> Text:
    text = Text(visible(diagnosis.message))
    if diagnosis.fix:
        text.append(f"\n→ {visible(diagnosis.fix)}", "cyan")
    return text
