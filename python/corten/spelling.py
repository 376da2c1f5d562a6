"""Spelling of names: differences that do not count, and the known name that a misspelt one means."""

from __future__ import annotations

from collections.abc import Iterable


def fold(name: str) -> str:
    """Return a name without what environment variables cannot spell: upper case, and dashes."""
    return name.lower().replace("-", "_")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant, or None."""
    import difflib  # only for names that are wrong

    by_folded = {fold(each): each for each in known}
    close = difflib.get_close_matches(fold(name), by_folded, n=1)
    return by_folded[close[0]] if close else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of an error text: ``; did you mean 'postgres'?``, or the list of known names."""
    names = sorted(known)
    close = nearest(name, names)
    if close is not None:
        return f"; did you mean {close!r}?"
    return f"; there are: {', '.join(names)}" if names else "; there are none"
