"""Typed settings from files, environment, secrets and arguments.

What reads them is loaded when it is first used: policies and plugins only need the types of fields.
"""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names
from corten.settings.section import DEFAULT, Section, alias
from corten.settings.types.units import (
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

if TYPE_CHECKING:
    from corten.settings.loading import Effective, Settings, Sourced, load

__all__ = [
    "DEFAULT",
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "corten.settings.loading": ("Effective", "Settings", "Sourced", "load"),
    },
)
