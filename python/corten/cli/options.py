"""Arguments and options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from corten.app import App
from corten.app.lifecycle import exit_codes
from corten.cli.failure import Failure
from corten.settings import Sourced

F = TypeVar("F", bound=Callable[..., Any])


def app_argument(*, required: bool = True) -> Callable[[F], F]:
    """``APP``: where the App lives."""
    return click.argument("target", metavar="APP" if required else "[APP]", required=required)


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="CORTEN_CONFIG",
    show_envvar=True,
    help="The settings file. [default: the app's own, corten.toml]",
)
set_option = click.option(
    "--set",
    "assignments",
    metavar="PATH=VALUE",
    multiple=True,
    help="A setting that wins over all sources: --set postgres.max_size=20. Repeatable.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log at debug level.")
backend_option = click.option(
    "--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True, help="The event loop."
)


def arguments_of(assignments: Sequence[str], *, verbose: bool = False) -> Mapping[str, object]:
    """What ``--set`` and ``-v`` set.

    :raises Failure: one is not ``PATH=VALUE``
    """
    arguments: dict[str, object] = {"logs.level": Sourced("debug", "-v")} if verbose else {}
    for each in assignments:
        path, equals, value = each.partition("=")
        if not equals or not all(path.strip().split(".")):
            raise Failure(f"--set {each}: expected PATH=VALUE, such as postgres.max_size=20", exit_codes.USAGE)
        arguments[path.strip()] = Sourced(value, f"--set {path.strip()}")
    return arguments


def configure(app: App[Any], config: Path | None, assignments: Sequence[str], *, verbose: bool = False) -> None:
    """Give an App what the options say about its settings."""
    app.configure(config=config, arguments=arguments_of(assignments, verbose=verbose))
