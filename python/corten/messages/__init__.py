"""Messages, whatever broker they come from: decode, pipeline, handler, commit or dead letter."""

from typing import TYPE_CHECKING

from corten.messages.accounting import ConsumerStatistics
from corten.messages.commit_tracking import CommitTracker
from corten.messages.consumer import Consumer
from corten.messages.message import Message, MessageDetails
from corten.messages.publisher import OutgoingMessage, Publisher
from corten.messages.received import Received
from corten.messages.replay import replay
from corten.messages.source import MessageSource, Partition, Source, Subscription

if TYPE_CHECKING:
    from corten.messages.runner import ConsumerRunner

__all__ = [
    "CommitTracker",
    "Consumer",
    "ConsumerRunner",
    "ConsumerStatistics",
    "Message",
    "MessageDetails",
    "MessageSource",
    "OutgoingMessage",
    "Partition",
    "Publisher",
    "Received",
    "Source",
    "Subscription",
    "replay",
]


def __getattr__(name: str) -> object:
    if name != "ConsumerRunner":
        raise AttributeError(f"module 'corten.messages' has no attribute {name!r}")
    from corten.messages.runner import ConsumerRunner  # only a running App has use for it

    return ConsumerRunner


def __dir__() -> list[str]:
    return __all__
