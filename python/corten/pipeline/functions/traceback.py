"""Keeping tracebacks of users' errors short: of ours two frames at most, of theirs all."""

from __future__ import annotations

import os
from types import TracebackType

TITLE = "corten pipeline"
"""How the file names of written functions begin, after the angle bracket."""
_OURS = (f"<{TITLE} ", __file__.removesuffix("traceback.py").removesuffix(f"functions{os.sep}"))


def trimmed(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame on that is not ours; all of it where every frame is."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_OURS):
        traceback = traceback.tb_next
    return traceback
