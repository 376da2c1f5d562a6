"""Checks of the numbers in policies' fields."""

from __future__ import annotations

import math
from datetime import timedelta


def at_least(policy: str, name: str, value: object, least: float) -> None:
    """Check that a value is a number of at least ``least``.

    :raises ValueError: it is not
    """
    if not (isinstance(value, int | float) and math.isfinite(value) and value >= least):
        raise ValueError(f"{policy}: {name} is {value!r}; it must be a number of at least {least:g}{_hint(value)}")


def _hint(value: object) -> str:
    """Return how to write a time that only settings can hold."""
    if isinstance(value, timedelta):
        return f": write its seconds, {value.total_seconds():g}"
    return "; texts such as '250ms' are for settings, in code write 0.25" if isinstance(value, str) else ""


MOST = 2**32 - 1
"""The largest whole number that the core counts by."""


def whole(policy: str, name: str, value: object, least: int, most: int = MOST) -> None:
    """Check that a value is a whole number from ``least`` to ``most``.

    :raises ValueError: it is not
    """
    if not (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most):
        raise ValueError(f"{policy}: {name} is {value!r}; it must be a whole number from {least} to {most}")


def positive(policy: str, name: str, value: object) -> None:
    """Check that a value is a number above zero.

    :raises ValueError: it is not
    """
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        raise ValueError(f"{policy}: {name} is {value!r}; it must be a number above zero{_hint(value)}")


def share(policy: str, name: str, value: object) -> None:
    """Check that a value is a number from 0 to 1.

    :raises ValueError: it is not
    """
    if isinstance(value, bool) or not (isinstance(value, int | float) and 0 <= value <= 1):
        raise ValueError(f"{policy}: {name} is {value!r}; it must be a number from 0 to 1")
