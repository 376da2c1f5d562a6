"""A consumer as data: which messages, decoded to what, handled by whom."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from corten.messages.received import Received
from corten.pipeline import Pipeline
from corten.pipeline.functions.signature import unaliased

_MISSING: Any = msgspec.UNSET


class Consumer(msgspec.Struct, frozen=True):
    """Hands the messages of some topics, decoded, to a handler: each at least once, in order for each key.

    :raises TypeError: the handler is no coroutine function, or its type is neither given nor annotated
    :raises ValueError: a number is out of its range
    """

    name: str
    topics: tuple[str, ...]
    handler: Callable[[Any], Awaitable[object]]
    """Takes one value, or, with ``batch``, a list of values; may be called again with what it had already."""
    type: Any = _MISSING
    """What JSON is decoded to; ``bytes`` leaves the message's value as it is. Left out: the handler's annotation."""
    source: str = "kafka"
    """The name of the message source."""
    group: str | None = None
    """The consumers of a group share the partitions; None: the consumer's name."""
    batch: int | None = None
    """The most values the handler takes at once; None: one value at a time."""
    concurrency: int = 1
    """How many calls of the handler may run at once. One value at a time: messages of one key go one after the other.
    In batches: those of one partition do."""
    pipeline: Pipeline | None = None
    """Policies around the handler."""
    dead_letters: bool = True
    """False: a message that fails for good fails the consumer and is not committed."""
    max_attempts: int | None = None
    """After how many attempts even an error that a later attempt might cure is final; None: never."""
    decode: Callable[[bytes], Any] | None = None
    """Decodes instead of JSON; any error it raises is final."""
    finish_within: float = 20.0
    """Seconds for what is being handled to be finished when partitions go to somebody else."""

    def __post_init__(self) -> None:
        where = f"consumer {self.name!r}"
        if not self.topics:
            raise ValueError(f"{where}: no topic is named")
        if not (inspect.iscoroutinefunction(self.handler) or inspect.iscoroutinefunction(type(self.handler).__call__)):
            raise TypeError(f"{where}: the handler {self.handler!r} is not an async function")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"{where}: batch is {self.batch}; expected at least 1, or None for one value at a time")
        if self.concurrency < 1:
            raise ValueError(f"{where}: concurrency is {self.concurrency}; expected at least 1")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"{where}: max_attempts is {self.max_attempts}; expected at least 1, or None")

    @property
    def group_name(self) -> str:
        """The group, by default named as the consumer."""
        return self.name if self.group is None else self.group


class HandlerShape(msgspec.Struct, frozen=True):
    """What a consumer's handler wants."""

    type: Any
    received: bool
    """Whether it takes `Received` values."""


def handler_shape(consumer: Consumer) -> HandlerShape:
    """Read from the handler's annotation, and the consumer's ``type``, what to give it.

    :raises TypeError: there is neither a ``type`` nor an annotation that can be resolved
    """
    annotation = unaliased(_first_annotation(consumer.handler))
    if consumer.batch is not None and annotation is not None:
        origin = get_origin(annotation)
        inner = get_args(annotation)
        if origin is not None and inspect.isclass(origin) and issubclass(origin, Sequence) and inner:
            annotation = unaliased(inner[0])
        elif not isinstance(annotation, str):
            annotation = None
    if isinstance(annotation, str):  # names that only exist where the handler was defined
        received = "Received[" in annotation
        annotation = None
    else:
        received = annotation is Received or get_origin(annotation) is Received
        if received:
            annotation = next(iter(get_args(annotation)), None)
    wanted = annotation if consumer.type is msgspec.UNSET else consumer.type
    if wanted is None and consumer.decode is None:
        shape = "list[Flight]" if consumer.batch is not None else "Flight"
        raise TypeError(
            f"consumer {consumer.name!r}: nothing says what to decode to; pass type=Flight, or annotate the first "
            f"parameter of {consumer.handler!r} with {shape}"
        )
    return HandlerShape(wanted, received)


def _first_annotation(handler: Callable[..., object]) -> Any:
    """The annotation of the handler's first parameter; as text where its names can't be resolved; None without one."""
    function = handler if inspect.isroutine(handler) else type(handler).__call__
    names = list(inspect.signature(handler).parameters)
    if not names:
        raise TypeError(f"the handler {handler!r} takes no argument; expected one for the value")
    try:
        return get_type_hints(function).get(names[0])
    except (NameError, TypeError):
        return getattr(function, "__annotations__", {}).get(names[0])
