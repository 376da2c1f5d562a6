"""A section: the table of the settings that one plugin, or the application, owns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

DEFAULT: Final = "default"
"""The name of the instance that a section's own table describes."""


def alias(*names: str) -> msgspec.Meta:
    """Give a field further names in the environment and the secrets folder.

    ``url: Annotated[str, alias("REDIS_URL")] = ""``
    """
    return msgspec.Meta(extra={"corten_aliases": names})


class Section(msgspec.Struct, Generic[T], frozen=True):
    """A table of the settings file with the type that describes it."""

    name: str
    """The name of the table, and of ``CORTEN_<NAME>__<FIELD>``."""
    type: type[T]
    instances: bool = False
    """Whether ``[name.other]`` describes a second instance of the same type."""
    aliases: Mapping[str, str] = {}
    """Further environment variables, and the fields they set: ``{"REDIS_URL": "url"}``."""
    activated_by: tuple[str, ...] = ()
    """Fields of which one must be set for an instance to be active; empty: it is always active."""
