"""Templates: texts with names of parameters in braces, such as ``"user:{user_id}"``."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_FORMATTER = string.Formatter()


class Template(msgspec.Struct, frozen=True):
    """A template after reading."""

    text: str
    names: tuple[str, ...]
    """The parameters in it, in order of their first use."""
    pieces: tuple[tuple[str, str | None], ...]
    """Each text, and the name after it."""

    def filler(self, order: Mapping[str, int]) -> Callable[[tuple[Any, ...]], str]:
        """Return a function that fills in values; ``order`` has the index of each parameter's value."""
        pieces = [(text, None if name is None else order[name]) for text, name in self.pieces]

        def fill(values: tuple[Any, ...]) -> str:
            return "".join(text if index is None else f"{text}{values[index]}" for text, index in pieces)

        return fill


def template_of(policy: str, field: str, text: object) -> Template:
    """Read a template; ``{{`` and ``}}`` stand for braces.

    :raises ValueError: it is no text, or has more than a name in its braces
    """
    if not isinstance(text, str):
        raise ValueError(f"{policy}: {field} has {text!r}; it must be texts such as 'user:{{user_id}}'")  # noqa: TRY004
    pieces: list[tuple[str, str | None]] = []
    try:
        for literal, name, spec, conversion in _FORMATTER.parse(text):
            if name is not None and (spec or conversion or not name.isidentifier()):
                raise ValueError("in braces is more than the name of a parameter")  # noqa: TRY301 - one message for all
            pieces.append((literal, name))
    except ValueError as error:
        raise ValueError(
            f"{policy}: {field} has {text!r}, which can't be read: {error}; write it as 'user:{{user_id}}'"
        ) from error
    names = tuple(dict.fromkeys(name for _, name in pieces if name is not None))
    return Template(text, names, tuple(pieces))
