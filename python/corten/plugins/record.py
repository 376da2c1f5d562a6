"""The record of a plugin, which ``corten plugins`` prints as a line."""

from __future__ import annotations

from typing import Literal

import msgspec

PluginState = Literal["active", "inactive", "failed"]
"""``inactive`` is installed but not configured: none of its sections has an active instance."""


class PluginRecord(msgspec.Struct, frozen=True):
    """One plugin of an App."""

    name: str
    origin: str
    """Entry point, distribution and version; or ``passed in code``."""
    distribution: str = ""
    """The distribution it came in; empty for one passed in code."""
    version: str = ""
    hooks: tuple[str, ...] = ()
    """The hooks it implements, by name."""
    order: int = 0
    """Its place in the order of calls, from 1; 0 where it has none because it failed."""
    sections: tuple[str, ...] = ()
    """The sections of the settings that are its own."""
    state: PluginState = "active"
    error: str = ""
    """Why it failed; empty otherwise."""
