"""Short tracebacks: at most two frames of Corten, all frames of users."""

from __future__ import annotations

import os
from types import TracebackType

TITLE = "corten pipeline"
"""The beginning of wrappers' file names, after the angle bracket."""
_OURS = (f"<{TITLE} ", __file__.removesuffix("traceback.py").removesuffix(f"functions{os.sep}"))


def trimmed(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first frame of a user on."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_OURS):
        traceback = traceback.tb_next
    return traceback
