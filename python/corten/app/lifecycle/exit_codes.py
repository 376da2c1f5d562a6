"""Exit codes of ``app.run()`` and of the command; the table for users is ``docs/reference/exit_codes.md``.

The numbers above 63 are those of BSD's sysexits.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from corten.errors import PluginError, ResourceUnavailable, SettingsError

OK = 0
"""Stopped cleanly, by itself or by the first signal."""
FAILED = 1
"""A task failed for good, or something went wrong while stopping."""
USAGE = 2
"""The command line, or what was asked of ``run``, makes no sense."""
UNAVAILABLE = 69
"""A resource cannot be had at start: a server is away, a port is in use."""
BROKEN = 70
"""A plugin is broken, or something is that nobody foresaw."""
NO_FILE = 73
"""A file can't be written."""
IO_ERROR = 74
"""Reading or writing failed."""
SETTINGS = 78
"""The settings are wrong."""
SIGNAL = 128
"""Added to the number of the second signal, which ends the process at once."""

_ORDER = ((SettingsError, SETTINGS), (PluginError, BROKEN), (ResourceUnavailable, UNAVAILABLE))


def of(error: BaseException) -> int:
    """The exit code for an error that stopped an App from starting; of a group, that of the first kind below it has."""
    errors = list(leaves(error))
    for kind, code in _ORDER:
        if any(isinstance(each, kind) for each in errors):
            return code
    return BROKEN


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors themselves, out of all groups."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for each in group.exceptions:
            yield from leaves(each)
    else:
        yield error
