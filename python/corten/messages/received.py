"""A decoded value together with the message that carried it."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from corten.messages.message import Message

T = TypeVar("T")


class Received(msgspec.Struct, Generic[T], frozen=True):
    """What a handler gets that is annotated ``Received[Flight]`` instead of ``Flight``."""

    value: T
    message: Message
    """Topic, partition, offset, key, headers and time of the message."""
