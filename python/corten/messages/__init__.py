"""Messages of any broker: decode, pipeline, handler, commit or dead letter.

Each name is loaded when it is first used: many programs have no messages at all.
"""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names
from corten.messages.replay import replay

if TYPE_CHECKING:
    from corten.events.observer import MessageDetails
    from corten.messages.commit_tracking import CommitTracker
    from corten.messages.consumer import Consumer
    from corten.messages.message import Message, Received
    from corten.messages.publisher import OutgoingMessage, Publisher
    from corten.messages.runner import ConsumerRunner
    from corten.messages.source import MessageSource, Partition, Source, Subscription
    from corten.messages.statistics import ConsumerStatistics

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CommitTracker": "corten.messages.commit_tracking",
        "Consumer": "corten.messages.consumer",
        "ConsumerRunner": "corten.messages.runner",
        "ConsumerStatistics": "corten.messages.statistics",
        "Message": "corten.messages.message",
        "MessageDetails": "corten.events.observer",
        "MessageSource": "corten.messages.source",
        "OutgoingMessage": "corten.messages.publisher",
        "Partition": "corten.messages.source",
        "Publisher": "corten.messages.publisher",
        "Received": "corten.messages.message",
        "Source": "corten.messages.source",
        "Subscription": "corten.messages.source",
    },
)
