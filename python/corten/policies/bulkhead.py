"""Bulkhead: bound how many calls run at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from corten.metrics.measured import counter, gauge
from corten.policies.fields.callables import resolve_function
from corten.policies.fields.checks import at_least, positive, whole
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration

if TYPE_CHECKING:
    Priority = int | str | Callable[..., int]
    """A number for all calls, a parameter's name, or a function of the call's arguments or its dotted name."""
else:
    Priority = int | str  # what settings can hold; a struct does not check what code passes

LEAST_PRIORITY, GREATEST_PRIORITY = -(2**31), 2**31 - 1


class Bulkhead(PolicyFields, frozen=True, tag_field="policy", tag="bulkhead"):
    """Bounds the calls that run at once; further calls wait for a place, or are refused.

    A free place goes to the waiter of the highest priority, and among equals to the first. Without ``ageing``,
    priorities are strict: while urgent calls keep coming, others wait.
    """

    guards_blocks: ClassVar[bool] = True

    max_concurrent: int = 10
    """Places: calls that run at once."""
    max_waiting: int = 0
    """Calls that may wait for a place."""
    max_wait: Duration | None = None
    """Seconds after which a waiting call is refused; None: never."""
    priority: Priority = 0
    """Calls of higher priority go first: a whole number for all calls, the name of the parameter that has it, or a
    function of the call's arguments (in settings ``"package.module:function"``)."""
    ageing: Duration | None = None
    """Seconds of waiting that raise the priority by one; None: waiting does not raise it."""
    name: str | None = None
    """Bulkheads of one name are one bulkhead, in all pipelines of an App, or of the process without an App; then a
    number as ``priority`` puts one pipeline's calls first. Size, queue and ``ageing`` must be equal."""

    def __post_init__(self) -> None:
        whole("bulkhead", "max_concurrent", self.max_concurrent, 1)
        whole("bulkhead", "max_waiting", self.max_waiting, 0)
        if self.max_wait is not None:
            at_least("bulkhead", "max_wait", self.max_wait, 0)
        if self.ageing is not None:
            positive("bulkhead", "ageing", self.ageing)
        _check_priority(self.priority)
        if self.name is not None and not self.name:
            raise ValueError("bulkhead: name is ''; it must be a text, or left out")


def _check_priority(priority: Any) -> None:
    if isinstance(priority, int):
        whole("bulkhead", "priority", priority, LEAST_PRIORITY, GREATEST_PRIORITY)
    elif isinstance(priority, str) and ":" not in priority:
        if not priority.isidentifier():
            raise ValueError(
                f"bulkhead: priority is {priority!r}; it must be a whole number, the name of a parameter of the "
                "function, or 'package.module:function'"
            )
    else:
        resolve_function("bulkhead", "priority", priority)


class BulkheadStatistics(msgspec.Struct, frozen=True):
    """State and counts of a bulkhead."""

    running: Annotated[int, gauge("Calls that hold a place")]
    waiting: Annotated[int, gauge("Calls in the queue")]
    max_concurrent: Annotated[int, gauge("Places")]
    max_waiting: Annotated[int, gauge("Places in the queue")] = 0
    most_running: Annotated[int, gauge("The most calls that held a place at once")] = 0
    most_waiting: Annotated[int, gauge("The most calls that were in the queue at once")] = 0
    refused: Annotated[int, counter("Calls that found no place and no room in the queue")] = 0
    displaced: Annotated[int, counter("Calls that a call of higher priority displaced from a full queue")] = 0
    gave_up: Annotated[int, counter("Calls that left the queue without a place: too late, or cancelled")] = 0
    waited: Annotated[int, counter("Calls that got their place from the queue")] = 0
    wait_time: Annotated[float, counter("Time that calls with a place from the queue waited, in all", "seconds")] = 0.0
    longest_wait: Annotated[float, gauge("The longest wait of a call with a place from the queue", "seconds")] = 0.0
    name: str = ""
    """The name by which pipelines share it; empty: it belongs to one pipeline."""
