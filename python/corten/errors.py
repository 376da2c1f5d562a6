"""The errors of Corten: one root, typed by what happened, carrying what was decided."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

__all__ = [
    "BulkheadFull",
    "ChaosError",
    "CircuitOpen",
    "ConcurrencyLimited",
    "CortenError",
    "CortenWarning",
    "DeadlineExceeded",
    "MessageError",
    "PluginError",
    "PolicyOrderWarning",
    "PoolExhausted",
    "RateLimited",
    "Refused",
    "ResourceUnavailable",
    "SettingsError",
    "SettingsProblem",
]


class CortenError(Exception):
    """The root of every error that Corten raises on purpose."""


class CortenWarning(UserWarning):
    """The root of every warning that Corten gives."""


class PolicyOrderWarning(CortenWarning):
    """The policies of a pipeline stand in an order that is probably not meant.

    :ivar pipeline: whose policies they are
    :ivar rule: the rule's name, as in the documentation: ``rate_limit outside cache``
    :ivar reason: what comes of that order, and what to do
    """

    def __init__(self, pipeline: str, rule: str, reason: str) -> None:
        super().__init__(pipeline, rule, reason)
        self.pipeline = pipeline
        self.rule = rule
        self.reason = reason

    def __str__(self) -> str:
        return f"pipeline {self.pipeline!r}: {self.rule}: {self.reason}"


class Refused(CortenError):
    """A policy did not let a call through; the call was not made.

    :ivar pipeline: name of the pipeline that refused; empty where a limiter was asked without one
    :ivar policy: the policy's word, such as ``rate_limit``
    :ivar reason: why, in words
    :ivar retry_after: seconds after which a call may succeed; None where nobody can know
    """

    def __init__(self, pipeline: str, policy: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(pipeline, policy, reason, retry_after)
        self.pipeline = pipeline
        self.policy = policy
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        hint = "" if self.retry_after is None else f"; retry after {self.retry_after:.3g} s"
        where = f"pipeline {self.pipeline!r}: " if self.pipeline else ""
        return f"{where}{self.policy} refused the call: {self.reason}{hint}"


class RateLimited(Refused):
    """The rate limit has no token for the call."""


class CircuitOpen(Refused):
    """The circuit breaker is open, or half open with all its trials under way."""


class BulkheadFull(Refused):
    """As many calls as are allowed are running and waiting."""


class ConcurrencyLimited(Refused):
    """As many calls are running as the adaptive limit lets, and as many waiting as may."""


class DeadlineExceeded(CortenError, TimeoutError):
    """A time limit passed before the work was done.

    :ivar what: the pipeline, phase or operation whose limit it was
    :ivar seconds: the limit
    :ivar pipeline: the pipeline's name where it was a pipeline's `Timeout`; None elsewhere
    """

    def __init__(self, what: str, seconds: float, pipeline: str | None = None) -> None:
        super().__init__(what, seconds, *(() if pipeline is None else (pipeline,)))
        self.what = what
        self.seconds = seconds
        self.pipeline = pipeline

    def __str__(self) -> str:
        what = self.what if self.pipeline is None else f"pipeline {self.pipeline!r}: the call"
        return f"{what} did not finish within {self.seconds:.3g} s"


class PoolExhausted(DeadlineExceeded):
    """Every connection of a pool was in use for as long as the call could wait.

    :ivar state: the pool at that moment, in words
    """

    def __init__(self, what: str, seconds: float, state: str, way_out: str = "raise its size") -> None:
        super().__init__(what, seconds)
        self.args = (what, seconds, state, way_out)
        self.state = state
        self._way_out = way_out

    def __str__(self) -> str:
        return f"{self.what}: no connection came free within {self.seconds:.3g} s; {self.state}; {self._way_out}"


class ResourceUnavailable(CortenError):
    """A resource (a pool, a client, a producer) cannot be had: its server is away or it was never provided."""

    retryable = True


class SettingsProblem(msgspec.Struct, frozen=True):
    """One thing that is wrong in the settings."""

    path: str
    """Where: ``postgres.max_size``."""
    message: str
    """What is wrong with it."""
    expected: str = ""
    """What would be right."""
    source: str = ""
    """Where the value came from: ``corten.toml``, ``environment CORTEN_POSTGRES__MAX_SIZE``."""
    value: str = ""
    """The offending value as text; empty for secrets and where there is none."""

    def __str__(self) -> str:
        shown = f" (is {self.value})" if self.value else ""
        wanted = f"; expected {self.expected}" if self.expected else ""
        source = f"  [{self.source}]" if self.source else ""
        return f"{self.path}: {self.message}{shown}{wanted}{source}"


class SettingsError(CortenError):
    """The settings are wrong; every problem is listed at once.

    :ivar problems: all that is wrong, in the order of the settings
    """

    def __init__(self, problems: Sequence[SettingsProblem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = "1 problem in the settings" if count == 1 else f"{count} problems in the settings"
        return "\n".join([f"{head}:", *(f"  - {problem}" for problem in self.problems)])


class PluginError(CortenError):
    """A plugin cannot be loaded, ordered or run.

    :ivar plugin: the plugin's name
    :ivar origin: its entry point, distribution and version, or ``passed in code``
    """

    def __init__(self, plugin: str, message: str, origin: str = "passed in code") -> None:
        super().__init__(plugin, message, origin)
        self.plugin = plugin
        self.message = message
        self.origin = origin

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} ({self.origin}): {self.message}"


class ChaosError(CortenError):
    """What a call is made to fail with by a chaos policy, unless that says otherwise."""

    retryable = True


class MessageError(CortenError):
    """A message can't be decoded or handled, or can't be published.

    Raised by a handler it sends the message to the dead letters at once, without another attempt.
    """

    retryable = False


def described(error: BaseException) -> str:
    """``ValueError: its words``, or only the type where it has no words."""
    words = str(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
