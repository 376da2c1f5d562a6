"""Rate limit: let so many calls through in a time, for all or for each key."""

from __future__ import annotations

import inspect
import math
from typing import ClassVar

from corten import _core
from corten.policies.fields.callables import Function, resolve_function
from corten.policies.fields.checks import at_least, whole
from corten.policies.fields.struct import PolicyFields
from corten.rate_limit.limiter import DEFAULT_KEYS, Algorithm
from corten.settings import Duration, Rate


class RateLimit(PolicyFields, frozen=True, tag_field="policy", tag="rate_limit"):
    """Lets calls through at a rate and refuses the rest, or has them wait for their turn.

    By default a token bucket, kept as GCRA (ITU-T I.371): ``burst`` tokens at first, one for each call, refilled at
    ``rate``. ``algorithm`` chooses another way to count; docs/policies/rate_limit.md says which for what.
    """

    guards_blocks: ClassVar[bool] = True

    rate: Rate
    """Calls in a time: ``"100/s"``, ``"5/min"``, ``"0.5/s"``; windows take whole numbers only."""
    burst: int | None = None
    """Calls let through at once after a quiet time; None: the number before the slash (``"5/min"``: 5; at least 1).

    Of a leaky bucket: how many it holds, the one that goes now and those that wait; None: as many as ``max_wait``
    allows for. Windows have none.
    """
    max_wait: Duration = 0.0
    """Seconds a call may wait for its turn, first come, first served; 0: refuse at once."""
    key: Function | None = None
    """By what calls are limited, each value on its own: a parameter's name, or a function of the call's arguments (in
    settings ``"package.module:function"``); None: all together."""
    cost: int | Function = 1
    """Tokens a call takes: a number, a parameter's name, or a function of the call's arguments."""
    algorithm: Algorithm = "token_bucket"
    """How it counts: ``token_bucket``, ``leaky_bucket``, ``sliding_window`` or ``fixed_window``."""
    max_keys: int = DEFAULT_KEYS
    """Keys for which there is room, at 48 bytes each once they are used; beyond it the least limited are forgotten."""
    shared: bool = False
    """Whether all processes share the limit, by a plugin that can (Redis); where none can be reached each keeps its
    own."""

    def __post_init__(self) -> None:
        at_least("rate_limit", "max_wait", self.max_wait, 0)
        if self.burst is not None and self.burst != 0:  # which the core refuses in words of its own
            whole("rate_limit", "burst", self.burst, 1)
        try:
            holds = _core.Limiter(self.algorithm, self.rate, self.holds()).burst
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"rate_limit: {error}") from None
        if self.algorithm == "leaky_bucket" and self.burst == 1 and self.max_wait > 0:
            raise ValueError(
                f"rate_limit: burst is 1 and max_wait {self.max_wait:g}: a leaky bucket that holds one call has no "
                "room for those that wait; make burst larger, or leave it out"
            )
        if self.key is not None:
            _input("key", self.key)
        if isinstance(self.cost, int):
            whole("rate_limit", "cost", self.cost, 1)
            if self.cost > holds:
                raise ValueError(f"rate_limit: cost is {self.cost}, and the limit never holds more than {holds} tokens")
        else:
            _input("cost", self.cost)
        whole("rate_limit", "max_keys", self.max_keys, 1, 2**32)
        if self.key is None and self.max_keys != DEFAULT_KEYS:
            raise ValueError(f"rate_limit: max_keys is {self.max_keys} and there is no key; give one, or leave it out")

    def holds(self) -> int | None:
        """The burst as limiters take it; None: the number before the slash."""
        if self.algorithm == "leaky_bucket" and self.burst is None:
            limiter = _core.Limiter(self.algorithm, self.rate)
            return max(limiter.burst, math.floor(min(self.max_wait * limiter.rate, 2.0**40)) + 1)
        return self.burst


def _input(field: str, value: object) -> None:
    """Check what a call is asked for.

    :raises ValueError: neither a parameter's name nor a function that can be called at once
    """
    if isinstance(value, str) and ":" not in value:
        if not value.isidentifier():
            raise ValueError(f"rate_limit: {field} is {value!r}; it must be the name of a parameter of the function")
        return
    function = resolve_function("rate_limit", field, value)  # type: ignore[arg-type]
    if inspect.iscoroutinefunction(function):
        raise ValueError(f"rate_limit: {field} is {value!r}, which is async; it must give its answer at once")
