"""Events of pipelines: one frozen struct for each.

They come as often as calls are refused or repeated, so `Events.recent` does not remember them.
"""

from __future__ import annotations

from corten.events.event import Event


class PipelineEvent(Event, frozen=True, kw_only=True):
    """Something other than letting a call through and returning what came."""

    pipeline: str
    policy: str = ""
    """The word of the policy that decided; empty where none did."""


class CallRefused(PipelineEvent, frozen=True, kw_only=True):
    """A policy did not let a call through."""

    reason: str
    retry_after: float | None = None
    """Seconds after which a call may succeed, where that is known."""


class CallRetried(PipelineEvent, frozen=True, kw_only=True):
    """An attempt failed and the call will be made again."""

    attempt: int
    """The attempt that failed; the first is 1."""
    wait: float
    """Seconds before the next one."""
    error: str
    """Its type and words."""


class CallTimedOut(PipelineEvent, frozen=True, kw_only=True):
    """A time limit ended a call."""

    seconds: float
    """The limit."""


class CallFailed(PipelineEvent, frozen=True, kw_only=True):
    """A call ended with an error that its caller gets."""

    error: str
    """Its type and words."""


class CallHedged(PipelineEvent, frozen=True, kw_only=True):
    """A call took long, and was made once more beside the first."""

    attempt: int
    """The attempt that began; the first is 1."""
    after: float
    """Seconds since the call began."""


class CallDegraded(PipelineEvent, frozen=True, kw_only=True):
    """A caller got less than was asked for: a fallback's value, or a result from a cache that was too old."""

    error: str
    """For which error: its type and words."""


class FaultInjected(PipelineEvent, frozen=True, kw_only=True):
    """Chaos disturbed a call on purpose."""

    fault: str
    """What was done: the error, or what took its place."""
    seconds: float = 0.0
    """By how much the call was delayed."""
