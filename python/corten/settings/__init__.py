"""Typed settings from files, environment, secrets and arguments.

What reads them is loaded when it is first used: policies and plugins only need the types of fields.
"""

from typing import TYPE_CHECKING

from corten.settings.quantities import (
    Duration,
    Rate,
    Size,
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)
from corten.settings.section import Section, alias

if TYPE_CHECKING:
    from corten.settings.loading import Effective, Settings, Sourced, load

__all__ = [
    "Duration",
    "Effective",
    "Rate",
    "Section",
    "Settings",
    "Size",
    "Sourced",
    "alias",
    "format_duration",
    "format_rate",
    "format_size",
    "load",
    "parse_duration",
    "parse_rate",
    "parse_size",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'corten.settings' has no attribute {name!r}")
    from corten.settings import loading

    value: object = getattr(loading, name)
    globals()[name] = value  # the next time it is found without asking here
    return value


def __dir__() -> list[str]:
    return __all__
