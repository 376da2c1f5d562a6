"""The part of the settings that one plugin, or the application, owns."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


def alias(*names: str) -> msgspec.Meta:
    """Further names of a field in the environment and the secrets folder, for those that come from elsewhere.

    ``url: Annotated[str, alias("REDIS_URL")] = ""``
    """
    return msgspec.Meta(extra={"corten_aliases": names})


class Section(msgspec.Struct, frozen=True):
    """A table of the settings file with the type that describes it."""

    name: str
    """The table's name, and the word in ``CORTEN_<NAME>__<FIELD>``."""
    type: type[msgspec.Struct]
    instances: bool = False
    """Whether ``[name.other]`` describes a second instance of the same type."""
    aliases: Mapping[str, str] = {}
    """Environment names that come from elsewhere: ``{"REDIS_URL": "url"}``."""
    activated_by: tuple[str, ...] = ()
    """Fields of which one must be set for an instance to be active; none named: always active."""
