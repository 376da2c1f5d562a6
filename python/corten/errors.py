"""The errors and warnings of Corten, each with its cause as fields."""

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
    """The base of every error that Corten raises on purpose."""


class CortenWarning(UserWarning):
    """The base of every warning that Corten gives."""


class PolicyOrderWarning(CortenWarning):
    """The order of a pipeline's policies is probably a mistake.

    :ivar pipeline: the pipeline's name
    :ivar rule: the rule's name, as in the documentation: ``rate_limit outside cache``
    :ivar reason: the effect of the order, and the remedy
    """

    def __init__(self, pipeline: str, rule: str, reason: str) -> None:
        super().__init__(pipeline, rule, reason)
        self.pipeline = pipeline
        self.rule = rule
        self.reason = reason

    def __str__(self) -> str:
        return f"pipeline {self.pipeline!r}: {self.rule}: {self.reason}"


class Refused(CortenError):
    """A policy refused a call; the function was not called.

    :ivar pipeline: the pipeline's name; empty for a limiter used without a pipeline
    :ivar policy: the policy's kind, such as ``rate_limit``
    :ivar reason: the reason in words
    :ivar retry_after: seconds after which a call may succeed; None where unknown
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
    """The circuit breaker is open, or half open with enough calls running."""


class BulkheadFull(Refused):
    """All places of the bulkhead, and of its queue, are taken."""


class ConcurrencyLimited(Refused):
    """The adaptive limit is reached, and its queue is full."""


class DeadlineExceeded(CortenError, TimeoutError):
    """A time limit passed before the work was done.

    :ivar what: the pipeline, phase or operation that took too long
    :ivar seconds: the limit
    :ivar pipeline: the pipeline's name if its `Timeout` set the limit, else None
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
    """No connection of a pool came free while the call could wait.

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
    """A resource is not open, or its server is away."""

    retryable = True


class SettingsProblem(msgspec.Struct, frozen=True):
    """One problem in the settings."""

    path: str
    """The setting: ``postgres.max_size``."""
    message: str
    """The problem in words."""
    expected: str = ""
    """The values that would be right."""
    source: str = ""
    """Where the value came from: ``corten.toml``, ``environment CORTEN_POSTGRES__MAX_SIZE``."""
    value: str = ""
    """The wrong value as text; empty for secrets and missing values."""

    def __str__(self) -> str:
        shown = f" (is {self.value})" if self.value else ""
        wanted = f"; expected {self.expected}" if self.expected else ""
        source = f"  [{self.source}]" if self.source else ""
        return f"{self.path}: {self.message}{shown}{wanted}{source}"


class SettingsError(CortenError):
    """The settings are wrong; every problem is listed at once.

    :ivar problems: all problems, in the order of the settings
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
    """The error that a chaos policy raises by default."""

    retryable = True


class MessageError(CortenError):
    """A message cannot be decoded, handled or published.

    Raised by a handler, it sends the message to the dead letters without another attempt.
    """

    retryable = False


def described(error: BaseException) -> str:
    """Return an error as text: ``ValueError: its words``, or only the type."""
    words = str(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
