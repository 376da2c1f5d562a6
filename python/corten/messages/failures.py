"""What a failure means for a message: try again, or give it up."""

from __future__ import annotations

from corten.errors import Refused

_FINAL_OS_ERRORS = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""Wrong paths and rights do not heal by waiting, unlike servers that are away."""

FIRST_WAIT = 0.1
LONGEST_WAIT = 30.0


def may_heal(error: BaseException) -> bool:
    """Whether a later attempt may succeed without anybody changing the message or the code.

    An error says so itself by an attribute ``retryable``. Otherwise refusals of a pipeline, time limits and errors of
    the operating system's network do. A group of errors does when each of its errors does.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(may_heal(each) for each in error.exceptions)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
    said = getattr(error, "retryable", None)
    if said is not None:
        return bool(said)
    return isinstance(error, (Refused, OSError)) and not isinstance(error, _FINAL_OS_ERRORS)


def wait_before(attempt: int, error: BaseException) -> float:
    """Seconds to wait after a number of failures: doubled each time up to half a minute, or as a refusal says."""
    if isinstance(error, Refused) and error.retry_after is not None:
        return max(error.retry_after, 0.001)
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt - 1, 30))
