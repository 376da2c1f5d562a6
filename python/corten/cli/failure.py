"""The failure of a command: a message on stderr, or JSON on request, and an exit code."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from corten.app.lifecycle import exit_codes
from corten.errors import CortenError, SettingsError

P = ParamSpec("P")
R = TypeVar("R")


class Failure(Exception):
    """The command's end, with a message for people."""

    def __init__(self, message: str, exit_code: int, problems: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.problems = problems or []

    def show(self, *, as_json: bool) -> None:
        """Print it: for people on stderr, for programs on stdout too."""
        click.echo(click.style("corten: ", fg="red", bold=True) + self.message, err=True)
        if as_json:
            document = {"error": self.message, "exit_code": self.exit_code, "problems": self.problems}
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def reports_failures(command: Callable[P, R]) -> Callable[P, R]:
    """Print failures and Corten's own errors without a traceback; bugs keep theirs."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (Failure, CortenError, ExceptionGroup) as error:
            failure = error if isinstance(error, Failure) else failure_of(error)
        failure.show(as_json=bool(kwargs.get("as_json")))
        raise SystemExit(failure.exit_code)

    return wrapper


def failure_of(error: Exception) -> Failure:
    """The failure of an error, or of a group of them.

    :raises Exception: the error itself, where it holds one that Corten did not raise on purpose
    """
    leaves = list(exit_codes.leaves(error))
    if not all(isinstance(leaf, CortenError) for leaf in leaves):
        raise error
    problems = [
        {"path": each.path, "message": each.message, "expected": each.expected, "source": each.source}
        for leaf in leaves
        if isinstance(leaf, SettingsError)
        for each in leaf.problems
    ]
    return Failure("\n".join(map(str, leaves)), exit_codes.of(error), problems)
