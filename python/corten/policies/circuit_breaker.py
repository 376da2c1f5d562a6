"""CircuitBreaker: stop calling what keeps failing, and try again later."""

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
"""Over which calls rates are taken: ``100`` is the last hundred, ``"60s"`` or ``60.0`` those of the last minute."""

LARGEST_WINDOW = 1_000_000
"""The most calls that a window holds, at two bits each."""
_WINDOW = 100
_MIN_CALLS = 20
_FAILURES = 5
_SLOW_RATE = 0.5


class CircuitBreaker(PolicyFields, frozen=True, tag_field="policy", tag="circuit_breaker", repr_omit_defaults=True):
    """Opens after failures in a row, or at a rate of failures or slow calls; refuses; then lets trial calls decide.

    Nygard, *Release It!*; windows, rates and states are those of Resilience4j. A failure is any ``Exception`` except
    refusals of Corten's own policies; ``on``, ``ignore`` and ``predicate`` say otherwise. Cancellation is neither
    failure nor success. Results of calls that began before the last change of state are not counted.
    """

    guards_blocks: ClassVar[bool] = True

    failures: int | None = None
    """So many in a row open it; None: 5, or however many where a rate decides."""
    wait: Duration = 60.0
    """Seconds it stays open before it is half open."""
    trials: int = 1
    """How many calls at once a half-open breaker lets through."""
    on: ExceptionTypes = ()
    """Count these as failures instead of every ``Exception``."""
    ignore: ExceptionTypes = ()
    """These are no failures."""
    successes: int | None = None
    """How many trials must succeed to close it; None: as many as ``trials``. One that fails opens it again."""
    failure_rate: float | None = None
    """The part of the calls in the window, above 0 to 1, that must fail to open it."""
    slow_call: Duration | None = None
    """A call that takes longer, in seconds, inside of the breaker, is slow, whether it fails or not."""
    slow_rate: float | None = None
    """The part of the calls in the window, above 0 to 1, that must be slow to open it; None: 0.5 with ``slow_call``."""
    window: Window | None = None
    """Over which calls rates are taken: ``100`` the last hundred, ``"60s"`` (or ``60.0``) those of the last minute, to
    a twentieth of it. None: the last 100."""
    min_calls: int | None = None
    """With fewer calls in the window no rate opens it; None: 20, or ``window`` where that is fewer calls."""
    growth: float = 1.0
    """Each time that it opens again without having been closed for as long as it was open, ``wait`` is so many times
    longer."""
    max_wait: Duration = 600.0
    """It doesn't stay open longer, in seconds, because of ``growth`` or because the error that opened it has a
    ``retry_after``."""
    max_half_open: Duration = 60.0
    """A half-open breaker none of whose trials has ended for so many seconds is open again: longer than a good call
    takes."""
    predicate: Function | None = None
    """Count those for which this function says so as well as ``on``, and no others: a callable, or
    ``"package.module:function"``."""
    name: str | None = None
    """Breakers of one name are one breaker, in all pipelines of an App (before they are an App's: of the process)."""

    def __post_init__(self) -> None:
        word = "circuit_breaker"
        for field, number in (("failures", self.failures), ("trials", self.trials), ("successes", self.successes)):
            if number is not None:
                whole(word, field, number, 1)
        positive(word, "wait", self.wait)
        positive(word, "max_half_open", self.max_half_open)
        at_least(word, "growth", self.growth, 1)
        at_least(word, "max_wait", self.max_wait, 0)
        if self.growth > 1 and self.max_wait < self.wait:
            raise ValueError(f"{word}: max_wait is {self.max_wait!r}, less than the wait of {self.wait!r} that grows")
        self._check_rates(word)
        resolve(self.on, "circuit_breaker: on")
        resolve(self.ignore, "circuit_breaker: ignore")
        if self.predicate is not None:
            resolve_function(word, "predicate", self.predicate)
        if self.name is not None and not self.name.strip():
            raise ValueError(f"{word}: name is {self.name!r}; it must be some text, or None")

    def _check_rates(self, word: str) -> None:
        for field, rate in (("failure_rate", self.failure_rate), ("slow_rate", self.slow_rate)):
            if rate is not None:
                positive(word, field, rate)
                if rate > 1:
                    raise ValueError(f"{word}: {field} is {rate!r}; it is a part of the calls, above 0 to 1")
        if self.slow_call is not None:
            positive(word, "slow_call", self.slow_call)
        elif self.slow_rate is not None:
            raise ValueError(f"{word}: slow_rate needs slow_call: after how many seconds is a call slow?")
        if not self.has_rates:
            for field, value in (("window", self.window), ("min_calls", self.min_calls)):
                if value is not None:
                    raise ValueError(f"{word}: {field} needs a failure_rate or a slow_call, over which calls it is")
            return
        calls, _ = self.span()
        if self.min_calls is not None:
            whole(word, "min_calls", self.min_calls, 1)
            if calls is not None and self.min_calls > calls:
                raise ValueError(
                    f"{word}: min_calls is {self.min_calls!r}, but the window never has more than {calls} calls"
                )

    @property
    def has_rates(self) -> bool:
        """Whether a rate may open it."""
        return self.failure_rate is not None or self.slow_call is not None

    def span(self) -> tuple[int | None, float]:
        """The window as a number of calls, or None and seconds.

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
        """What the defaults come to: failures in a row (0: none), trials to succeed, slow rate, least calls."""
        calls, _ = self.span()
        failures = self.failures if self.failures is not None else 0 if self.has_rates else _FAILURES
        successes = self.trials if self.successes is None else self.successes
        slow_rate = _SLOW_RATE if self.slow_rate is None and self.slow_call is not None else self.slow_rate
        least = self.min_calls if self.min_calls is not None else min(_MIN_CALLS, calls or _MIN_CALLS)
        return failures, successes, slow_rate, least


class BreakerStatistics(msgspec.Struct, frozen=True):
    """A circuit breaker."""

    state: Annotated[BreakerState, one_of("Whether it is in this state; open until a call comes after its wait")]
    failures: Annotated[int, gauge("Failures in a row, while open or half open those that it opened with")]
    opened: Annotated[int, counter("How often it opened")]
    retry_after: Annotated[float | None, gauge("Seconds until it is half open; None unless it is open", "seconds")]
    name: str = ""
    """The name by which pipelines share it; empty where it is one pipeline's own."""
    calls: Annotated[int, gauge("Calls in the window, while open those that it opened with; 0 without a window")] = 0
    failed: Annotated[int, gauge("Calls in the window that failed")] = 0
    slow: Annotated[int, gauge("Calls in the window that were slow")] = 0
    failure_rate: Annotated[float | None, gauge("The part of them that failed; None where there are none")] = None
    slow_rate: Annotated[float | None, gauge("The part of them that were slow; None where there are none")] = None
    refused: Annotated[int, counter("Calls that it refused")] = 0
    reason: str = ""
    """Why it opened the last time: ``5 failures in a row``; empty where it never did."""
    last_failure: str = ""
    """The last error that counted, in words and without secrets."""
