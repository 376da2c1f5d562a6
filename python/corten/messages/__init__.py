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
        "corten.events.observer": ("MessageDetails",),
        "corten.messages.commit_tracking": ("CommitTracker",),
        "corten.messages.consumer": ("Consumer",),
        "corten.messages.message": ("Message", "Received"),
        "corten.messages.publisher": ("OutgoingMessage", "Publisher"),
        "corten.messages.runner": ("ConsumerRunner",),
        "corten.messages.source": ("MessageSource", "Partition", "Source", "Subscription"),
        "corten.messages.statistics": ("ConsumerStatistics",),
    },
)
