"""Messages, whatever broker they come from: decode, pipeline, handler, commit or dead letter."""

from corten.messages.accounting import ConsumerStatistics
from corten.messages.commit_tracking import CommitTracker
from corten.messages.consumer import Consumer
from corten.messages.message import Message, MessageDetails
from corten.messages.publisher import OutgoingMessage, Publisher
from corten.messages.received import Received
from corten.messages.replay import replay
from corten.messages.runner import ConsumerRunner
from corten.messages.source import MessageSource, Partition, Source, Subscription

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
