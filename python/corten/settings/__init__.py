"""Typed settings from files, environment, secrets and arguments."""

from corten.settings.effective import Effective
from corten.settings.load import Settings, Sourced, load
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
