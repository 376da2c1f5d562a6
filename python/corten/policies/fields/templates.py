"""Texts with parameters' names in braces: ``"user:{user_id}"``; names only, nothing is looked up in their values."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_FORMATTER = string.Formatter()


class Template(msgspec.Struct, frozen=True):
    """A template, read."""

    text: str
    names: tuple[str, ...]
    """The parameters in it, in order of their first place."""
    pieces: tuple[tuple[str, str | None], ...]
    """Plain text and the name after it."""

    def filler(self, order: Mapping[str, int]) -> Callable[[tuple[Any, ...]], str]:
        """The function that puts values in; ``order`` is where among them each parameter's is."""
        pieces = [(text, None if name is None else order[name]) for text, name in self.pieces]

        def fill(values: tuple[Any, ...]) -> str:
            return "".join(text if place is None else f"{text}{values[place]}" for text, place in pieces)

        return fill


def template_of(policy: str, field: str, text: object) -> Template:
    """Read a template; ``{{`` and ``}}`` are braces themselves.

    :raises ValueError: naming policy, field and text: it is no text, or has more than a name in its braces
    """
    if not isinstance(text, str):
        raise ValueError(f"{policy}: {field} has {text!r}; it must be texts such as 'user:{{user_id}}'")  # noqa: TRY004
    pieces: list[tuple[str, str | None]] = []
    try:
        for plain, name, form, conversion in _FORMATTER.parse(text):
            if name is not None and (form or conversion or not name.isidentifier()):
                raise ValueError("in braces is more than the name of a parameter")  # noqa: TRY301 - one message for all
            pieces.append((plain, name))
    except ValueError as error:
        raise ValueError(
            f"{policy}: {field} has {text!r}, which can't be read: {error}; write it as 'user:{{user_id}}'"
        ) from error
    names = tuple(dict.fromkeys(name for _, name in pieces if name is not None))
    return Template(text, names, tuple(pieces))
