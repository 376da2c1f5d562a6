"""AdaptiveLimit: let as many calls run at once as the other side does well with."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from corten.metrics.measured import counter, gauge
from corten.policies.fields.checks import at_least, positive, share, whole
from corten.policies.fields.exceptions import ExceptionTypes, resolve
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration


class AdaptiveLimit(PolicyFields, frozen=True, tag_field="policy", tag="adaptive_limit"):
    """A bulkhead whose size is found out by watching: it grows while calls do well, and shrinks when they do not.

    ``gradient`` goes by latency: beyond its capacity a server does no more in a second (Little's law), so calls take
    longer by as much as there are too many. TCP Vegas (Brakmo, O'Malley and Peterson, 1994) does so for connections,
    Netflix's concurrency-limits and Envoy's adaptive concurrency for calls. ``aimd`` goes by drops alone, as TCP does
    (additive increase, multiplicative decrease: Chiu and Jain, 1989; RFC 5681).

    Latency is what a call takes while it has its place. A drop is a refusal by a policy further inside, and an error
    that may come of overload: a ``TimeoutError``, an ``OSError``, a refusal, or one marked ``retryable``; with ``on``
    those types and no others. From other errors, and from calls that are cancelled, nothing is learned.
    """

    guards_blocks: ClassVar[bool] = True

    algorithm: Literal["gradient", "aimd"] = "gradient"
    """What it goes by: latency and drops, or drops alone."""
    initial: int = 20
    """Calls that run at once at first."""
    min: int = 1
    """Never fewer."""
    max: int = 1000
    """Never more."""
    max_waiting: int = 0
    """Calls that may wait for a place, first in, first out. Few: what waits here is late already."""
    max_wait: Duration | None = None
    """Seconds after which a waiting call is refused; None: as long as it takes."""
    tolerance: float = 1.25
    """Calls may take so many times what they take when the other side is idle (``gradient``)."""
    smoothing: float = 0.3
    """Which part of a change is made at once (``gradient``): less is steadier, more is quicker."""
    backoff: float = 0.9
    """What is left of the limit after drops."""
    tolerated_drops: float = 0.05
    """Which part of the calls may be dropped before it shrinks, for calls fail for other reasons too."""
    slow_call: Duration | None = None
    """A call that takes longer, in seconds, counts as a drop; None: none does."""
    probe_every: Duration = 30.0
    """Seconds after which the latency of the idle other side is measured anew (``gradient``): until enough calls have
    ended for that the limit is halved."""
    on: ExceptionTypes = ()
    """Count these as drops instead of the default ones."""
    ignore: ExceptionTypes = ()
    """These are no drops."""

    def __post_init__(self) -> None:
        word = "adaptive_limit"
        if self.algorithm not in ("gradient", "aimd"):
            raise ValueError(f"{word}: algorithm is {self.algorithm!r}; there are 'gradient' and 'aimd'")
        whole(word, "min", self.min, 1)
        whole(word, "max", self.max, 1)
        whole(word, "initial", self.initial, 1)
        if not self.min <= self.initial <= self.max:
            raise ValueError(
                f"{word}: initial is {self.initial!r}; it must lie between min, which is {self.min!r}, and max, which "
                f"is {self.max!r}"
            )
        whole(word, "max_waiting", self.max_waiting, 0)
        if self.max_wait is not None:
            at_least(word, "max_wait", self.max_wait, 0)
        at_least(word, "tolerance", self.tolerance, 1)
        _inside(word, "smoothing", self.smoothing, with_one=True)
        _inside(word, "backoff", self.backoff, with_one=False)
        share(word, "tolerated_drops", self.tolerated_drops)
        if self.slow_call is not None:
            positive(word, "slow_call", self.slow_call)
        positive(word, "probe_every", self.probe_every)
        resolve(self.on, "adaptive_limit: on")
        resolve(self.ignore, "adaptive_limit: ignore")


def _inside(policy: str, name: str, value: object, *, with_one: bool) -> None:
    if isinstance(value, bool) or not (isinstance(value, int | float) and (0 < value < 1 or (with_one and value == 1))):
        upper = "and at most 1" if with_one else "and below 1"
        raise ValueError(f"{policy}: {name} is {value!r}; it must be a number above 0 {upper}")


class AdaptiveLimitStatistics(msgspec.Struct, frozen=True):
    """An adaptive limit: how it stands, and what it has seen since it was made."""

    limit: Annotated[float, gauge("How many calls may run at once; it moves by parts of one, and the whole ones count")]
    running: Annotated[int, gauge("Calls that hold a place")]
    waiting: Annotated[int, gauge("Calls in the queue")]
    latency: Annotated[float | None, gauge("What calls took of late, as a geometric mean", "seconds")]
    """None: not known yet."""
    idle_latency: Annotated[float | None, gauge("What calls take when the other side is idle", "seconds")]
    """None: not known yet, or not asked for (``aimd``)."""
    probing: Annotated[bool, gauge("Whether the idle latency is being measured, with fewer calls than the limit")]
    dropped: Annotated[int, counter("Calls that timed out, were refused inside, were slow, or failed of overload")]
    refused: Annotated[int, counter("Calls that found no place and no room in the queue")]
    gave_up: Annotated[int, counter("Calls that left the queue without a place: too late, or cancelled")]
    most_running: Annotated[int, gauge("The most calls that ever held a place at once")]
    changes: Annotated[int, counter("How often the number of places changed")]
