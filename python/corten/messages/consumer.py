"""Consumers as data: topics, the type to decode to, and the handler."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from corten.messages.message import Received
from corten.pipeline import Pipeline
from corten.pipeline.functions.signature import unaliased


class Consumer(msgspec.Struct, frozen=True):
    """A handler for decoded messages: at least once, in order by key.

    :raises TypeError: the handler is not an async function, or its type is neither given nor annotated
    :raises ValueError: a number is out of its range
    """

    name: str
    topics: tuple[str, ...]
    handler: Callable[[Any], Awaitable[object]]
    """Takes one value, or, with ``batch``, a list of values; may receive a value more than once."""
    type: Any = msgspec.UNSET
    """The type to decode JSON to; ``bytes`` does not decode. Left out: the handler's annotation."""
    source: str = "kafka"
    """The name of the message source."""
    group: str | None = None
    """The consumers of a group share the partitions; None: the consumer's name."""
    batch: int | None = None
    """The most values the handler takes at once; None: one value at a time."""
    concurrency: int = 1
    """The most calls of the handler at once. Messages of one key are handled one after the other; in batches, messages
    of one partition are."""
    pipeline: Pipeline | None = None
    """Policies around the handler."""
    dead_letters: bool = True
    """False: a message that fails for good fails the consumer and is not committed."""
    max_attempts: int | None = None
    """Attempts after which a retryable error is final; None: never."""
    decode: Callable[[bytes], Any] | None = None
    """Decodes instead of JSON; any error it raises is final."""
    finish_within: float = 20.0
    """Seconds to finish started messages when partitions go to another consumer."""

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
        """The group; by default the consumer's name."""
        return self.name if self.group is None else self.group


class HandlerShape(msgspec.Struct, frozen=True):
    """The argument that a consumer's handler takes."""

    type: Any
    received: bool
    """Whether it takes `Received` values."""


def handler_shape(consumer: Consumer) -> HandlerShape:
    """Return the argument that annotation and ``type`` of a consumer ask for.

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
    if isinstance(annotation, str):  # its names exist only where the handler was defined
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
            f"consumer {consumer.name!r}: there is no type to decode to; pass type=Flight, or annotate the first "
            f"parameter of {consumer.handler!r} with {shape}"
        )
    return HandlerShape(wanted, received)


def _first_annotation(handler: Callable[..., object]) -> Any:
    """Return the first parameter's annotation; as text if names are unknown."""
    function = handler if inspect.isroutine(handler) else type(handler).__call__
    names = list(inspect.signature(handler).parameters)
    if not names:
        raise TypeError(f"the handler {handler!r} takes no argument; expected one for the value")
    try:
        return get_type_hints(function).get(names[0])
    except (NameError, TypeError):
        return getattr(function, "__annotations__", {}).get(names[0])
