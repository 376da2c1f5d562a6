"""Exit codes of ``app.run()`` and of the command.

Users find them in ``docs/reference/exit_codes.md``. Numbers above 63 are from BSD's sysexits.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from corten.errors import PluginError, ResourceUnavailable, SettingsError

OK = 0
"""Stopped cleanly, by itself or by the first signal."""
FAILED = 1
"""A task failed for good, or stopping failed."""
USAGE = 2
"""The command line, or an argument of ``run``, is wrong."""
UNAVAILABLE = 69
"""A resource cannot be opened at start: a server is away, a port is in use."""
BROKEN = 70
"""A plugin is broken, or an unexpected error occurred."""
NO_FILE = 73
"""A file cannot be written."""
IO_ERROR = 74
"""Reading or writing failed."""
SETTINGS = 78
"""The settings are wrong."""
SIGNAL = 128
"""Added to the number of the second signal, which ends the process at once."""

_ORDER = ((SettingsError, SETTINGS), (PluginError, BROKEN), (ResourceUnavailable, UNAVAILABLE))


def of(error: BaseException) -> int:
    """Return the exit code for an error of an App's start.

    In a group, settings come before plugins, plugins before resources.
    """
    errors = list(leaves(error))
    for kind, code in _ORDER:
        if any(isinstance(each, kind) for each in errors):
            return code
    return BROKEN


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the single errors in an error or a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for each in group.exceptions:
            yield from leaves(each)
    else:
        yield error
