"""AdaptiveLimit: bound running calls by what the server can serve."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from corten.metrics.measured import counter, gauge
from corten.policies.fields.checks import at_least, positive, share, whole
from corten.policies.fields.exceptions import ExceptionTypes, resolve
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration


class AdaptiveLimit(PolicyFields, frozen=True, tag_field="policy", tag="adaptive_limit"):
    """A bulkhead that adapts its size: it grows while calls succeed quickly, and shrinks otherwise.

    ``gradient`` adapts to latency: beyond its capacity a server serves no more calls in a second (Little's law), so
    each call takes longer. TCP Vegas (Brakmo, O'Malley and Peterson, 1994) does so for connections, Netflix's
    concurrency-limits and Envoy's adaptive concurrency for calls. ``aimd`` adapts to drops alone, as TCP does (additive
    increase, multiplicative decrease: Chiu and Jain, 1989; RFC 5681).

    Latency is the time that a call holds its place. A drop is a refusal by an inner policy, or an error that overload
    may cause: a ``TimeoutError``, an ``OSError``, a refusal, or an error marked ``retryable``; with ``on`` only the
    types there. Other errors and cancelled calls teach nothing.
    """

    guards_blocks: ClassVar[bool] = True

    algorithm: Literal["gradient", "aimd"] = "gradient"
    """Adapt to latency and drops, or to drops alone."""
    initial: int = 20
    """The limit at first."""
    min: int = 1
    """The least limit."""
    max: int = 1000
    """The greatest limit."""
    max_waiting: int = 0
    """Calls that may wait for a place, first in, first out; few, for they are late already."""
    max_wait: Duration | None = None
    """Seconds after which a waiting call is refused; None: never."""
    tolerance: float = 1.25
    """Tolerated latency as a multiple of the idle server's (``gradient``)."""
    smoothing: float = 0.3
    """The share of a change that is made at once (``gradient``): less is steadier, more is quicker."""
    backoff: float = 0.9
    """The factor that shrinks the limit after drops."""
    tolerated_drops: float = 0.05
    """The share of drops that does not shrink the limit, for calls fail for other reasons too."""
    slow_call: Duration | None = None
    """Seconds after which a call counts as a drop; None: never."""
    probe_every: Duration = 30.0
    """Seconds after which the idle server's latency is measured anew (``gradient``); while it is, the limit is
    halved."""
    on: ExceptionTypes = ()
    """Errors that are drops, instead of the default ones."""
    ignore: ExceptionTypes = ()
    """Errors that are no drops."""

    def __post_init__(self) -> None:
        kind = self.kind
        if self.algorithm not in ("gradient", "aimd"):
            raise ValueError(f"{kind}: algorithm is {self.algorithm!r}; there are 'gradient' and 'aimd'")
        whole(kind, "min", self.min, 1)
        whole(kind, "max", self.max, 1)
        whole(kind, "initial", self.initial, 1)
        if not self.min <= self.initial <= self.max:
            raise ValueError(
                f"{kind}: initial is {self.initial!r}; it must lie between min, which is {self.min!r}, and max, which "
                f"is {self.max!r}"
            )
        whole(kind, "max_waiting", self.max_waiting, 0)
        if self.max_wait is not None:
            at_least(kind, "max_wait", self.max_wait, 0)
        at_least(kind, "tolerance", self.tolerance, 1)
        _inside(kind, "smoothing", self.smoothing, with_one=True)
        _inside(kind, "backoff", self.backoff, with_one=False)
        share(kind, "tolerated_drops", self.tolerated_drops)
        if self.slow_call is not None:
            positive(kind, "slow_call", self.slow_call)
        positive(kind, "probe_every", self.probe_every)
        resolve(self.on, "adaptive_limit: on")
        resolve(self.ignore, "adaptive_limit: ignore")


def _inside(policy: str, name: str, value: object, *, with_one: bool) -> None:
    if isinstance(value, bool) or not (isinstance(value, int | float) and (0 < value < 1 or (with_one and value == 1))):
        upper = "and at most 1" if with_one else "and below 1"
        raise ValueError(f"{policy}: {name} is {value!r}; it must be a number above 0 {upper}")


class AdaptiveLimitStatistics(msgspec.Struct, frozen=True):
    """State and counts of an adaptive limit."""

    limit: Annotated[float, gauge("Calls that may run at once; a fraction counts as no call")]
    running: Annotated[int, gauge("Calls that hold a place")]
    waiting: Annotated[int, gauge("Calls in the queue")]
    latency: Annotated[float | None, gauge("Recent latency of calls, as a geometric mean", "seconds")]
    """None: unknown yet."""
    idle_latency: Annotated[float | None, gauge("Latency of calls while the server is idle", "seconds")]
    """None: unknown yet, or not needed (``aimd``)."""
    probing: Annotated[bool, gauge("Whether the idle latency is being measured, with fewer calls than the limit")]
    dropped: Annotated[int, counter("Calls that timed out, were refused inside, were slow, or failed by overload")]
    refused: Annotated[int, counter("Calls that found no place and no room in the queue")]
    gave_up: Annotated[int, counter("Calls that left the queue without a place: too late, or cancelled")]
    most_running: Annotated[int, gauge("The most calls that held a place at once")]
    changes: Annotated[int, counter("Changes of the number of places")]
