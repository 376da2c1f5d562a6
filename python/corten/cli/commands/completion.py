"""``corten completion``: the script that lets a shell complete the command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Put one of these into the shell's start-up file:
      eval "$(corten completion bash)"          ~/.bashrc
      eval "$(corten completion zsh)"           ~/.zshrc
      corten completion fish | source           ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click has these three
        raise click.ClickException(f"click cannot complete {shell}")
    click.echo(kind(ctx.find_root().command, {}, "corten", "_CORTEN_COMPLETE").source())
