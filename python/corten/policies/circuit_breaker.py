"""CircuitBreaker: stop calls that keep failing, and try again later."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from corten.events.event import BreakerState
from corten.metrics.measured import counter, gauge, one_of
from corten.policies.fields.callables import Function, resolve_function
from corten.policies.fields.checks import at_least, positive, whole
from corten.policies.fields.exceptions import ExceptionTypes, resolve
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration, parse_duration

Window = int | float | str
"""The calls that rates are taken over: ``100`` is the last hundred, ``"60s"`` or ``60.0`` the last minute."""

LARGEST_WINDOW = 1_000_000
"""The most calls that a window holds, at two bits each."""
_WINDOW = 100
_MIN_CALLS = 20
_FAILURES = 5
_SLOW_RATE = 0.5


class CircuitBreaker(PolicyFields, frozen=True, tag_field="policy", tag="circuit_breaker", repr_omit_defaults=True):
    """Opens after failures or slow calls; later a few calls decide whether it closes.

    It opens at a number of failures in a row, or at a rate. Nygard, *Release It!*; windows, rates and states as in
    Resilience4j. A failure is any ``Exception`` except refusals of Corten's own policies; ``on``, ``ignore`` and
    ``predicate`` say otherwise. Cancellation is neither failure nor success. Results of calls that began before the
    last change of state are not counted.
    """

    guards_blocks: ClassVar[bool] = True
    renamed_fields: ClassVar = {"wait": "open_for", "trials": "half_open_calls", "max_wait": "max_open_for"}

    failures: int | None = None
    """Failures in a row that open it; None: 5, or no limit where a rate decides."""
    open_for: Duration = 60.0
    """Seconds that it stays open before it is half open."""
    half_open_calls: int = 1
    """Calls at once that a half-open breaker lets through."""
    on: ExceptionTypes = ()
    """Errors that are failures, instead of every ``Exception``."""
    ignore: ExceptionTypes = ()
    """Errors that are no failures."""
    successes: int | None = None
    """Half-open calls that must succeed to close it; None: ``half_open_calls``. A failure opens it again."""
    failure_rate: float | None = None
    """The share of failures among the calls in the window, above 0 to 1, that opens it."""
    slow_call: Duration | None = None
    """Seconds after which a call counts as slow, whether it fails or not."""
    slow_rate: float | None = None
    """The share of slow calls in the window, above 0 to 1, that opens it; None: 0.5 with ``slow_call``."""
    window: Window | None = None
    """The calls that rates are taken over: ``100`` means the last hundred calls, ``"60s"`` or ``60.0`` the calls of the
    last minute, in steps of a twentieth. None: the last 100."""
    min_calls: int | None = None
    """Calls in the window below which no rate opens it; None: 20, or ``window`` if smaller."""
    growth: float = 1.0
    """The factor by which the open time grows when the breaker opens again before it was closed as long as open."""
    max_open_for: Duration = 600.0
    """The longest open time in seconds; bounds ``growth`` and an error's ``retry_after``."""
    max_half_open: Duration = 60.0
    """Seconds after which a half-open breaker opens again if none of its calls has ended; longer than a call takes."""
    predicate: Function | None = None
    """Count the errors for which this function is true, and those in ``on``: a callable, or
    ``"package.module:function"`` in settings."""
    name: str | None = None
    """Breakers with the same name are one breaker in all pipelines of an App, or of the process without an App."""

    def __post_init__(self) -> None:
        kind = self.kind
        for field in ("failures", "half_open_calls", "successes"):
            if (number := getattr(self, field)) is not None:
                whole(kind, field, number, 1)
        positive(kind, "open_for", self.open_for)
        positive(kind, "max_half_open", self.max_half_open)
        at_least(kind, "growth", self.growth, 1)
        at_least(kind, "max_open_for", self.max_open_for, 0)
        if self.growth > 1 and self.max_open_for < self.open_for:
            raise ValueError(f"{kind}: max_open_for is {self.max_open_for!r}, less than open_for ({self.open_for!r})")
        self._check_rates(kind)
        resolve(self.on, "circuit_breaker: on")
        resolve(self.ignore, "circuit_breaker: ignore")
        if self.predicate is not None:
            resolve_function(kind, "predicate", self.predicate)
        if self.name is not None and not self.name.strip():
            raise ValueError(f"{kind}: name is {self.name!r}; it must be some text, or None")

    def _check_rates(self, kind: str) -> None:
        for field, rate in (("failure_rate", self.failure_rate), ("slow_rate", self.slow_rate)):
            if rate is not None:
                positive(kind, field, rate)
                if rate > 1:
                    raise ValueError(f"{kind}: {field} is {rate!r}; it is a part of the calls, above 0 to 1")
        if self.slow_call is not None:
            positive(kind, "slow_call", self.slow_call)
        elif self.slow_rate is not None:
            raise ValueError(f"{kind}: slow_rate needs slow_call: after how many seconds is a call slow?")
        if not self.has_rates:
            for field, value in (("window", self.window), ("min_calls", self.min_calls)):
                if value is not None:
                    raise ValueError(f"{kind}: {field} needs a failure_rate or a slow_call, over which calls it is")
            return
        calls, _ = self.window_size()
        if self.min_calls is not None:
            whole(kind, "min_calls", self.min_calls, 1)
            if calls is not None and self.min_calls > calls:
                raise ValueError(
                    f"{kind}: min_calls is {self.min_calls!r}, but the window never has more than {calls} calls"
                )

    @property
    def has_rates(self) -> bool:
        """Whether a rate may open it."""
        return self.failure_rate is not None or self.slow_call is not None

    def window_size(self) -> tuple[int | None, float]:
        """Return the window as a number of calls, or None and seconds.

        :raises ValueError: it is neither
        """
        window = _WINDOW if self.window is None else self.window
        if isinstance(window, int):
            whole("circuit_breaker", "window", window, 1, LARGEST_WINDOW)
            return window, 0.0
        if isinstance(window, str):
            try:
                window = parse_duration(window)
            except ValueError as error:
                raise ValueError(
                    f"circuit_breaker: window is {window!r}; it must be a whole number of calls, or a time such as "
                    f"'60s': {error}"
                ) from None
        positive("circuit_breaker", "window", window)
        return None, window

    def needed(self) -> tuple[int, int, float | None, int]:
        """Return the failures in a row (0: none), successes, slow rate and least calls in force."""
        calls, _ = self.window_size()
        failures = self.failures if self.failures is not None else 0 if self.has_rates else _FAILURES
        successes = self.half_open_calls if self.successes is None else self.successes
        slow_rate = _SLOW_RATE if self.slow_rate is None and self.slow_call is not None else self.slow_rate
        least = self.min_calls if self.min_calls is not None else min(_MIN_CALLS, calls or _MIN_CALLS)
        return failures, successes, slow_rate, least


class BreakerStatistics(msgspec.Struct, frozen=True):
    """State and counts of a circuit breaker."""

    state: Annotated[BreakerState, one_of("Whether it is in this state; open until a call comes after the open time")]
    failures: Annotated[int, gauge("Failures in a row; while it is not closed, when it opened")]
    opened: Annotated[int, counter("Times that it opened")]
    retry_after: Annotated[float | None, gauge("Seconds until it is half open; None unless it is open", "seconds")]
    name: str = ""
    """The name by which pipelines share it; empty: it belongs to one pipeline."""
    calls: Annotated[int, gauge("Calls in the window; while it is open, when it opened; 0 without a window")] = 0
    failed: Annotated[int, gauge("Calls in the window that failed")] = 0
    slow: Annotated[int, gauge("Calls in the window that were slow")] = 0
    failure_rate: Annotated[float | None, gauge("The share of them that failed; None: there are none")] = None
    slow_rate: Annotated[float | None, gauge("The share of them that were slow; None: there are none")] = None
    refused: Annotated[int, counter("Calls that it refused")] = 0
    reason: str = ""
    """Why it last opened: ``5 failures in a row``; empty: it never did."""
    last_failure: str = ""
    """The last error that counted, without secrets."""
