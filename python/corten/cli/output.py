"""Tables for people and JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from corten.secrets import enc_hook

_WIDTH_OF_PIPES = 200


def console(*, stderr: bool = False) -> Console:
    """Return the console; output that is no terminal gets wide lines, so that nothing is cut off."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_PIPES
    return Console(stderr=stderr, highlight=False, width=width)


def print_json(value: Any) -> None:
    """Print plain data or structs as indented JSON, secrets hidden."""
    click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=enc_hook), indent=2).decode())


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    no_wrap: Sequence[str] = (),
    title: str | None = None,
) -> Table:
    """Return a table of texts without markup, with visible control characters."""
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, no_wrap=column in no_wrap, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(visible(cell)) for cell in row))
    return made


def visible(text: str) -> str:
    """Write control characters, which a terminal might obey, as escapes."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


def as_text(value: Any) -> str:
    """Write a value as in a settings file, on one line."""
    return json.dumps(value, ensure_ascii=False)
