"""The group of all commands; each command is a file in ``commands/``."""

from __future__ import annotations

import platform
import sys
from importlib import import_module, metadata
from typing import Any, Final

import click

COMMANDS: Final = {
    "completion": "Print the completion script of a shell.",
    "config": "Show the settings in effect, and where each came from.",
    "dev": "Run an app for development, with the servers it needs.",
    "doctor": "Find what would stop an app from starting, with the fix.",
    "health": "Ask a running app how it is: exit code 0 or 1.",
    "plugins": "List plugins with version, state, settings and hooks.",
    "run": "Run an app.",
}
"""Each is the function of that name in the module of that name."""

INTERRUPTED: Final = 130
"""The exit code of Ctrl-C: 128 + SIGINT."""


class CommandGroup(click.Group):
    """Imports only the requested command, so that a frequent health probe loads no tables."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """The command of a name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"corten.cli.commands.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command as click does, and suggest the nearest name for an unknown one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from corten.spelling import nearest

            close = nearest(args[0], COMMANDS) if args else None
            if close is None:
                raise
            raise click.UsageError(f"No such command '{args[0]}'. Did you mean '{close}'?", error.ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke as click does; Ctrl-C before an App runs exits with 130, not with click's 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in ``--help`` without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


def version_line() -> str:
    """``corten 0.1.0 (core 0.1.0, Python 3.12.1)``."""
    core = import_module("corten._core")
    numbers = f"core {getattr(core, '__version__', 'unknown')}, Python {platform.python_version()}"
    return f"corten {metadata.version('corten')} ({numbers})"


def _print_version(ctx: click.Context, _option: Any, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(version_line())
        ctx.exit()


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="APP is where your App lives: `service:app` is the name `app` in service.py. Settings come from "
    "corten.toml, .env, the environment (CORTEN_POSTGRES__MAX_SIZE=20), /run/secrets and --set, in this order.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print versions."
)
def corten() -> None:
    """Run and look into services built on Corten.

    \b
    Examples:
      corten dev service:app             with the servers it needs, for development
      corten doctor service:app          what would stop it from starting
      corten run service:app             the same app in production
      corten health --probe live         in a container's health check
    """
    if sys.platform == "win32":  # pragma: no cover
        click.echo("corten: signals on Windows are few; Ctrl-C stops, the rest is untested", err=True)
