"""Events of pipelines, one frozen struct for each.

They are as frequent as refused or repeated calls, so `Events.recent` does not remember them.
"""

from __future__ import annotations

from corten.events.event import Event


class PipelineEvent(Event, frozen=True, kw_only=True):
    """A call that was not simply admitted and returned."""

    pipeline: str
    policy: str = ""
    """The kind of the policy that decided; empty: no policy did."""


class CallRefused(PipelineEvent, frozen=True, kw_only=True):
    """A policy refused a call."""

    reason: str
    retry_after: float | None = None
    """Seconds after which a call may succeed; None: unknown."""


class CallRetried(PipelineEvent, frozen=True, kw_only=True):
    """An attempt failed, and another one follows."""

    attempt: int
    """The attempt that failed; the first is 1."""
    wait: float
    """Seconds until the next attempt."""
    error: str
    """The type and text of the error."""


class CallTimedOut(PipelineEvent, frozen=True, kw_only=True):
    """A time limit ended a call."""

    seconds: float
    """The limit."""


class CallFailed(PipelineEvent, frozen=True, kw_only=True):
    """A call ended with an error, which its caller gets."""

    error: str
    """The type and text of the error."""


class CallHedged(PipelineEvent, frozen=True, kw_only=True):
    """A call was slow, and another attempt began beside it."""

    attempt: int
    """The attempt that began; the first is 1."""
    after: float
    """Seconds since the call began."""


class CallDegraded(PipelineEvent, frozen=True, kw_only=True):
    """A caller got a fallback's value, or a stale result."""

    error: str
    """The type and text of the error that it hides."""


class FaultInjected(PipelineEvent, frozen=True, kw_only=True):
    """Chaos disturbed a call on purpose."""

    fault: str
    """The error, ``latency``, or ``another result``."""
    seconds: float = 0.0
    """Seconds by which the call was delayed."""
